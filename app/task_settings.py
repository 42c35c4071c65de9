"""The ``settings`` of tasks, checked before a study needs them.

Apart from :mod:`app.config`, because the settings' own definition imports torch: a configuration is read by
processes that have none.
"""

from app.config import Config
from models.errors import Code, ConfigError


def check_settings(config: Config) -> None:
    """Refuse a task whose settings the method does not have; torch is imported only where a task has any.

    Raises
    ------
    ConfigError
        CONFIG-INVALID, with the task and the setting.
    """
    changed = [task for task in config.tasks if task.settings]
    if not changed:
        return
    from models.presets import preset

    for task in changed:
        try:
            preset(task.method, task.mode, overrides=task.settings)
        except ConfigError as error:
            raise ConfigError(Code.CONFIG_INVALID, f"task {task.name}: {error.message}") from error
