"""The steps of a study's way from quiet to done. Each is safe to repeat from its beginning after a crash.

A step reads what is recorded, does the missing rest and records it. The workflow only orders them.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

from app.config import Config
from app.delivery.outbox import publish
from app.delivery.responses import CODES, Verdict
from app.delivery.sender import send_files
from app.study.boundary import contained
from app.study.database import Database, now
from app.study.deadline import Deadline
from app.study.generations import Generation, Generations
from app.study.inbox import Inbox
from app.study.plan import gather, plan_generation
from app.study.results import Delivery, ResultObject, Results, Run
from app.study.states import RETRIABLE, Event, RunState, State
from models.errors import Code
from operators.task import Task

logger = logging.getLogger(__name__)

T = TypeVar("T")

_TIMER_SLACK = 0.1
DEATHS_MAX = 2
"""A study that has killed a worker so often becomes a dead letter."""


class Outcome(Protocol):
    """What a graph run tells; :class:`app.application.TaskOutcome` is one."""

    @property
    def status(self) -> str:
        """``found``, ``nothing-found`` or ``refused``."""

    @property
    def code(self) -> Code | None:
        """Why, unless something was found."""

    @property
    def reason(self) -> str:
        """The sentence to the code."""

    @property
    def files(self) -> tuple[Path, ...]:
        """The objects it wrote."""


@dataclass(frozen=True)
class Request:
    """One graph run: one task on one series, or phase of one, of the instances in ``input_folder``.

    ``replaces`` is hh:mm of the generation whose result of this task is replaced, if any; ``results`` counts
    the pictures of this generation that got a result from the task already, ``answered`` says whether it was
    asked of any.
    """

    input_folder: Path
    output_folder: Path
    series: str
    task: Task
    quiet_at: datetime
    generation: int
    replaces: str | None
    results: int
    answered: bool = False


Graph = Callable[[Request], Outcome]
"""Runs the MONAI Deploy graph in this warm process; writes objects into ``output_folder``."""

_TOLD = (
    "seconds",
    "images_found",
    "pictures",
    "unwritten",
    "volume_ml",
    "area_mm2",
    "area_px",
    "uncertainty",
)


def _details(outcome: Outcome) -> dict[str, object]:
    """Return what of an outcome is worth a place in the study list."""
    found = {name: getattr(outcome, name, None) for name in _TOLD}
    return {name: value for name, value in found.items() if value is not None}


def _pictures(run: Run) -> int | None:
    """Return how many pictures of a run have a result; None for a volume, and before it ran."""
    found = run.details.get("pictures")
    return found if isinstance(found, int) else None


def _destinations(task: Task, kind: str) -> tuple[str, ...]:
    return tuple(item.ae for item in task.destinations if kind in item.accepts)


class Steps:
    """The steps, bound to one installation and one graph."""

    def __init__(self, config: Config, graph: Graph) -> None:
        self._config = config
        self._graph = graph
        self._inbox = Inbox(config.storage)
        database = Database(config.storage.root)
        self.generations = Generations(database)
        self.results = Results(database)
        self._one_graph = threading.Lock()
        self._settling = threading.Lock()

    def _work(self, generation: Generation) -> Path:
        return self._config.storage.work / generation.key

    def _contained(self, generation: Generation, work: Callable[[], T]) -> T | None:
        """Return what ``work`` returns; the generation becomes a dead letter when it raises."""
        return contained(generation.key, work, lambda code, reason: self.fail(generation, code, reason))

    def quiet(self, study: str) -> int | None:
        """Freeze what was received of a study; return its generation, None when nothing is new.

        The moment recorded here is the source of every date and time in the results. An instance that
        arrived while the timer struck puts the moment off; the listener arms the timer for it again.
        """
        arrivals = self._inbox.arrivals(study, self.generations.known(study))
        if arrivals is not None and arrivals.due(self._config.study) > time.time() + _TIMER_SLACK:
            return None
        generation = self.generations.freeze(study, tuple(self._inbox.instances(study)), now())
        if generation is not None:
            logger.info("study %s: quiet", generation.key)
            return generation.number
        latest = self.generations.generations(study)
        if latest and latest[-1].state is State.QUIET:  # frozen just before a crash
            return latest[-1].number
        return None

    def plan(self, study: str, number: int) -> int | None:
        """Plan a generation; return the priority of its computation, None when there is none."""
        generation = self.generations.generation(study, number)
        return self._contained(generation, lambda: self._plan(generation))

    def _plan(self, generation: Generation) -> int | None:
        if generation.state is State.QUEUED:  # planned just before a crash
            return self._priority(generation)
        if generation.state is not State.QUIET:
            return None
        if self.generations.enter(generation) >= DEATHS_MAX:
            self.fail(generation, Code.WORKER_DIED, "its headers ended the worker twice")
            return None
        folder = self._work(generation) / "input"
        gather(self._inbox.instances(generation.study), self.generations.members(generation), folder)
        max_age = None if generation.forced else self._config.study.max_study_age
        plan = plan_generation(folder, self._config.tasks, generation.quiet_at, max_age)
        self.results.plan(generation, plan.runs)
        state = self.generations.move(generation, plan.event, plan.code, plan.reason)
        self.generations.leave(generation)
        logger.info("study %s: %s %s", generation.key, state, plan.code or f"{len(plan.runs)} runs")
        return self._priority(generation) if state is State.QUEUED else None

    def _priority(self, generation: Generation) -> int:
        return min(self._task(run).priority for run in self.results.runs(generation))

    def _task(self, run: Run) -> Task:
        return self._config.task(run.task)

    def take(self, study: str, number: int) -> list[tuple[str, str]]:
        """Take a generation for computing; return the (series, task) that have to run."""
        generation = self.generations.generation(study, number)
        if generation.state not in (State.QUEUED, State.RUNNING):  # overtaken, or concluded before a crash
            return []
        self.generations.move(generation, Event.TAKEN)
        runs = self.results.runs(generation)
        return [(run.series, run.task) for run in runs if run.state is RunState.PLANNED]

    def run(self, study: str, number: int, series: str, task: str) -> None:
        """Run the graph for one task on one series, unless that is answered already."""
        generation = self.generations.generation(study, number)
        run = next(run for run in self.results.runs(generation) if (run.series, run.task) == (series, task))
        if run.state is not RunState.PLANNED:
            return
        earlier = self.results.earlier_answer(generation, run)
        if earlier is not None:
            reason = f"generation {earlier} answered this from the same instances"
            self.results.finish(generation, run, RunState.UNCHANGED, None, reason)
            return
        with self._one_graph:  # holoscan's paths are process-wide
            if self.generations.enter(generation) >= DEATHS_MAX:
                reason = f"it ended the worker {DEATHS_MAX} times; look at the worker's log, then retry it"
                self.results.finish(generation, run, RunState.FAILED, Code.WORKER_DIED, reason)
            else:
                self._compute(generation, run)
            self.generations.leave(generation)

    def _compute(self, generation: Generation, run: Run) -> None:
        """Run the graph within the task's time; record how it ended, whatever happens."""

        def fail(code: Code, reason: str) -> None:
            self.results.finish(generation, run, RunState.FAILED, code, reason)

        def expire() -> None:
            fail(
                Code.TIME_EXCEEDED,
                f"it took longer than max_minutes of task {run.task}; the worker was ended",
            )
            self.generations.leave(generation)
            logger.error("study %s: %s, the worker ends", generation.key, Code.TIME_EXCEEDED)

        def work() -> None:
            task = self._task(run)
            with Deadline(60 * task.max_minutes, expire):
                self._compute_in_time(generation, run, task)

        contained(generation.key, work, fail)

    def _compute_in_time(self, generation: Generation, run: Run, task: Task) -> None:
        output = self._work(generation) / "output"
        shutil.rmtree(output, ignore_errors=True)
        output.mkdir(parents=True)
        others = [_pictures(other) for other in self.results.runs(generation) if other.task == run.task]
        pictures = [count for count in others if count is not None]
        request = Request(
            self._work(generation) / "input",
            output,
            run.series,
            task,
            generation.quiet_at,
            generation.number,
            self._replaced(generation, run),
            sum(pictures),
            bool(pictures),
        )
        outcome = self._graph(request)
        published = publish(outcome.files, self._config.storage.outbox / generation.key)
        objects = [ResultObject(uid, kind, path, _destinations(task, kind)) for uid, kind, path in published]
        state = RunState(outcome.status)
        self.results.finish(generation, run, state, outcome.code, outcome.reason, _details(outcome), objects)
        shutil.rmtree(output, ignore_errors=True)
        logger.info(
            "study %s: task %s: %s, %d objects", generation.key, task.name, outcome.status, len(objects)
        )

    def _replaced(self, generation: Generation, run: Run) -> str | None:
        """Return hh:mm of the generation whose results of this task are replaced, if there is one."""
        earlier = self.results.replaced(generation, run.task)
        if earlier is None:
            return None
        return self.generations.generation(generation.study, earlier).quiet_at.strftime("%H:%M")

    def conclude(self, study: str, number: int) -> list[str]:
        """Close the computation; return the AEs that objects wait for."""
        generation = self.generations.generation(study, number)
        if generation.state is State.RUNNING:
            runs = self.results.runs(generation)
            if all(run.state is RunState.REFUSED for run in runs) and not self.results.deliveries(generation):
                self.generations.move(generation, Event.REFUSED, runs[0].code, runs[0].reason)
            else:
                self.generations.move(generation, Event.COMPUTED)
            shutil.rmtree(self._work(generation), ignore_errors=True)
        return sorted({delivery.ae for delivery in self._pending(generation)})

    def _pending(self, generation: Generation, ae: str | None = None) -> list[Delivery]:
        deliveries = self.results.deliveries(generation)
        return [item for item in deliveries if item.state == "pending" and ae in (None, item.ae)]

    def deliver(self, study: str, number: int, ae: str, attempt: int) -> float | None:
        """Send what an AE has not acknowledged; return the seconds until the next attempt, or None."""
        generation = self.generations.generation(study, number)
        return self._contained(generation, lambda: self._deliver(generation, ae, attempt))

    def _deliver(self, generation: Generation, ae: str, attempt: int) -> float | None:
        pending = self._pending(generation, ae)
        if not pending:
            return None
        policy = self._config.delivery
        target = self._config.aes.get(ae)
        if target is None:
            self._give_up(pending, Code.CONFIG_INVALID, f"aes: does not list {ae} any more")
            return None
        calling, timeout = self._config.listener.ae_title, policy.timeout.total_seconds()
        answers = send_files([item.path for item in pending], target, calling, timeout)
        for item, answer in zip(pending, answers, strict=True):
            last = attempt >= policy.attempts
            failed = answer.verdict is Verdict.NEVER or (answer.verdict is Verdict.AGAIN and last)
            state = "sent" if answer.verdict is Verdict.SENT else "failed" if failed else "pending"
            self.results.delivered(item, state, CODES.get(answer.verdict), answer.reason)
        left = self._pending(generation, ae)
        done = len(pending) - len(left)
        logger.info("study %s: %d of %d objects settled at %s", generation.key, done, len(pending), ae)
        if not left:
            return None
        return float(min(policy.first_wait * 2 ** (attempt - 1), policy.longest_wait).total_seconds())

    def _give_up(self, pending: Sequence[Delivery], code: Code, reason: str) -> None:
        for item in pending:
            self.results.delivered(item, "failed", code, reason)

    def settle(self, study: str, number: int) -> None:
        """End a generation none of whose objects is on its way any more."""
        generation = self.generations.generation(study, number)
        with self._settling:
            if self.generations.generation(study, number).state is not State.DELIVERING:
                return
            deliveries = self.results.deliveries(generation)
            if any(item.state == "pending" for item in deliveries):
                return
            failures = [
                (run.code, f"task {run.task}: {run.reason}")
                for run in self.results.runs(generation)
                if run.state is RunState.FAILED
            ]
            failures += [
                (item.code, f"{item.ae}: {item.reason}") for item in deliveries if item.state == "failed"
            ]
            if failures:
                code, reason = failures[0]
                self.fail(generation, code or Code.INTERNAL, reason)
            else:
                self.generations.move(generation, Event.DELIVERED)
                logger.info("study %s: done", generation.key)

    def fail(self, generation: Generation, code: Code, reason: str) -> None:
        """Make a generation a dead letter."""
        self.generations.move(generation, Event.FAILED, code, reason)
        self.generations.leave(generation)
        logger.error("study %s: failed, %s", generation.key, code)

    def retry(self, study: str) -> tuple[int, int] | None:
        """Give a study's latest generation another life; return it and its attempt, None if it needs none."""
        generations = self.generations.generations(study)
        if not generations:
            return None
        latest = generations[-1]
        if latest.state in RETRIABLE:
            latest = self.generations.retry(latest)
        elif not (latest.state is State.QUIET and latest.attempt > 0):  # else: retried just before a crash
            return None
        return latest.number, latest.attempt
