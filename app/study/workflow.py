"""The durable workflows: the order of the steps, kept by DBOS through crashes and restarts.

    study-is-quiet --> freeze, plan ----> compute-generation --> one graph run per (series, task)
    retry-study    --> reopen, plan --/         |
                                                v
                       deliver-generation, one per destination: send, wait, send again ... settle

Workflow ids follow from study, generation and attempt, so enqueueing twice is the same as once. The database
holds UIDs, task names and numbers; never anything about a patient.
"""

from dbos import DBOS, EnqueueOptions, StepOptions

from app.config import Config
from app.log import short
from app.study import engine
from app.study.steps import Steps

_QUEUES = {engine.QUIET_QUEUE: 2, engine.GRAPH_QUEUE: 1, engine.DELIVERY_QUEUE: 4}
"""How many workflows of each queue the worker runs at once."""
_POLL_SECONDS = 0.5


def launch(config: Config, steps: Steps) -> None:
    """Start the engine: make its tables, take up what an earlier worker left, then take new work."""
    DBOS(config=engine.engine_config(config))
    _register_planning(steps)
    _register_computing(steps)
    _register_delivery(steps)
    DBOS.launch()
    for queue, concurrency in _QUEUES.items():
        DBOS.register_queue(queue, worker_concurrency=concurrency, polling_interval_sec=_POLL_SECONDS)


def _named(name: str) -> StepOptions:
    """Name a step, and repeat it when disk or database fail it; what a study does to it, it contains."""
    return {
        "name": name,
        "retries_allowed": True,
        "max_attempts": 5,
        "interval_seconds": 2.0,
        "backoff_rate": 3.0,
    }


def _enqueue(queue: str, workflow: str, identity: str, priority: int, *arguments: object) -> None:
    options: EnqueueOptions = {
        "workflow_name": workflow,
        "queue_name": queue,
        "workflow_id": identity,
        "app_version": engine.APPLICATION_VERSION,
        "priority": priority,
    }
    DBOS.enqueue_workflow_with_options(options, *arguments)


def _register_planning(steps: Steps) -> None:
    def plan(study: str, number: int, attempt: int) -> None:
        priority = DBOS.run_step(_named("plan"), steps.plan, study, number)
        if priority is not None:
            identity = f"{short(study)}-{number}-{attempt}"
            _enqueue(
                engine.GRAPH_QUEUE, engine.COMPUTE_GENERATION, identity, priority, study, number, attempt
            )

    @DBOS.workflow(name=engine.STUDY_IS_QUIET)
    def study_is_quiet(study: str) -> None:
        number = DBOS.run_step(_named("quiet"), steps.quiet, study)
        if number is not None:
            plan(study, number, 0)

    @DBOS.workflow(name=engine.RETRY_STUDY)
    def retry_study(study: str) -> None:
        reopened = DBOS.run_step(_named("retry"), steps.retry, study)
        if reopened is not None:
            plan(study, *reopened)


def _register_computing(steps: Steps) -> None:
    @DBOS.workflow(name=engine.COMPUTE_GENERATION)
    def compute_generation(study: str, number: int, attempt: int) -> None:
        for series, task in DBOS.run_step(_named("take"), steps.take, study, number):
            DBOS.run_step(_named(f"run {task}"), steps.run, study, number, series, task)
        aes = DBOS.run_step(_named("conclude"), steps.conclude, study, number)
        for ae in aes:
            identity = f"{short(study)}-{number}-{attempt}-{ae}"
            _enqueue(engine.DELIVERY_QUEUE, engine.DELIVER_GENERATION, identity, 1, study, number, ae)
        if not aes:
            DBOS.run_step(_named("settle"), steps.settle, study, number)


def _register_delivery(steps: Steps) -> None:
    @DBOS.workflow(name=engine.DELIVER_GENERATION)
    def deliver_generation(study: str, number: int, ae: str) -> None:
        attempt = 1
        while True:
            wait = DBOS.run_step(_named("deliver"), steps.deliver, study, number, ae, attempt)
            if wait is None:
                break
            DBOS.sleep(wait)
            attempt += 1
        DBOS.run_step(_named("settle"), steps.settle, study, number)
