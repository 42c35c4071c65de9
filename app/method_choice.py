"""What a command asks, by which method, on which models: its options, else the task's."""

from typing import TYPE_CHECKING, get_args

from app.config import Config
from models.errors import Code, ConfigError
from operators.task import Target, Task

if TYPE_CHECKING:
    from models.method import Method


def chosen_preset(method: str | None, mode: str | None, task: Task | None) -> tuple[str, str]:
    """Return method and mode: the options, else the task's, else the first that tasks may name.

    Raises ConfigError (USAGE, CONFIG-INVALID): there is no such preset, or it lacks a setting of the task.
    """
    from models.presets import preset

    default = [get_args(Task.model_fields[field].annotation)[0] for field in ("method", "mode")]
    chosen = (
        method or (task.method if task else default[0]),
        mode or (task.mode if task else default[1]),
    )
    preset(*chosen, overrides=task.settings if task else None)
    return chosen


def only_target(task: Task, because: str) -> Target:
    """Return the one target of a task. Raises ConfigError (USAGE), with ``because``, where there are more."""
    if len(task.targets) > 1:
        labels = ", ".join(target.segment.label for target in task.targets)
        raise ConfigError(Code.USAGE, f"task {task.name} asks for several structures ({labels}), {because}")
    return task.targets[0]


def load_method(bundle: str | None, config: Config) -> "Method":
    """Return the method on a bundle, the configured one where none is named. Raises ModelError."""
    from models.bundles.bundle import load_bundle
    from models.method import Method

    reference = bundle or config.models.bundle
    return Method(load_bundle(reference, config.models.directory, config.models.device))
