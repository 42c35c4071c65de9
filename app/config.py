"""What an installation decides: a typed app.yaml, and the site file that overrides it.

The packaged app.yaml lies beside the package and holds every default; an upgrade replaces it. A site file
(``--config FILE`` or the environment variable TEXTSEG_CONFIG) states only what differs, and an upgrade never
touches it: mappings are merged key by key, lists (``tasks``, ``calling_aes``) replace the packaged ones.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from app.config_file import absolute, explain, merge, read
from models.errors import Code, ConfigError
from models.prompts import PROMPT_MAX_CHARACTERS
from operators.task import Frozen, Task

PACKAGED = Path(__file__).resolve().parents[1] / "app.yaml"
"""The defaults that come with the software: in a checkout, in site-packages and in a MAP, beside ``app``."""

SITE_VARIABLE = "TEXTSEG_CONFIG"

_SECONDS = {"s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}
_BYTES = {"MB": 10**6, "GB": 10**9}


def _quantity(units: Mapping[str, int], example: str, value: object) -> float:
    """Read ``'15 min'`` as 900: a number and a unit of ``units``, because a bare number hides its unit."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        raise ValueError(
            f"{value!r} is not a number and a unit ({', '.join(units)}); write it like '{example}'"
        )
    return float(match[1]) * units[match[2]]


def _duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    return timedelta(seconds=_quantity(_SECONDS, "15 min", value))


def _size(value: object) -> int:
    return int(_quantity(_BYTES, "500 MB", value))


def _ae_title(value: str) -> str:
    """PS3.5 VR AE: 1 to 16 characters of the default repertoire, no backslash, no control character."""
    title = value.strip()
    if not re.fullmatch(r"[ -\[\]-~]{1,16}", title):
        raise ValueError(f"{value!r} is not an AE title: 1 to 16 ASCII characters, no backslash")
    return title


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=0)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]


class _Dashed(Frozen):
    """The packager's two sections spell their keys with dashes."""

    model_config = ConfigDict(alias_generator=lambda name: name.replace("_", "-"), populate_by_name=False)


class ApplicationInfo(_Dashed):
    """What MONAI Deploy's packager reads: name, version, accepted formats."""

    title: Annotated[str, Field(min_length=1)]
    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+[0-9A-Za-z.+-]*$")]
    input_formats: tuple[str, ...]
    output_formats: tuple[str, ...]


class Resources(_Dashed):
    """What MONAI Deploy's packager reads: what a container of this application needs."""

    cpu: Annotated[int, Field(ge=1)]
    gpu: Annotated[int, Field(ge=0)]
    memory: str
    gpu_memory: str


class Listener(Frozen):
    """The AE that archives send to."""

    ae_title: AETitle
    host: str
    port: Port
    calling_aes: Annotated[tuple[AETitle, ...], Field(min_length=1)]
    max_associations: Annotated[int, Field(ge=1, le=1000)]
    network_timeout: Duration


class Storage(Frozen):
    """Where received studies, results and the engine's database lie."""

    root: Path
    reserve: Size

    @property
    def inbox(self) -> Path:
        """One folder per study, one file per received instance."""
        return self.root / "inbox"

    @property
    def work(self) -> Path:
        """One folder per generation of a study: what was frozen, and the graph's runs."""
        return self.root / "work"

    @property
    def outbox(self) -> Path:
        """One folder per generation of a study: the objects as they are sent."""
        return self.root / "outbox"


class Study(Frozen):
    """When a study is taken to be complete, and how long it is kept."""

    quiet: Duration
    at_most: Duration
    max_study_age: Duration
    keep: Duration

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.at_most < self.quiet:
            raise ValueError("at_most is shorter than quiet: a study could never become quiet; raise at_most")
        return self


class Models(Frozen):
    """Which bundle of models answers, from where, on what."""

    bundle: str
    directory: Path | None
    device: Literal["cpu", "cuda"]


class AE(Frozen):
    """A DICOM node that results are sent to."""

    title: AETitle
    host: Annotated[str, Field(min_length=1)]
    port: Port


class Delivery(Frozen):
    """How stubbornly a result is sent."""

    attempts: Annotated[int, Field(ge=1, le=1000)]
    first_wait: Duration
    longest_wait: Duration
    timeout: Duration


class Config(Frozen):
    """Everything that app.yaml and a site file say."""

    application: ApplicationInfo
    resources: Resources
    listener: Listener
    storage: Storage
    study: Study
    models: Models
    aes: dict[str, AE]
    delivery: Delivery
    tasks: tuple[Task, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        seen: set[str] = set()
        for task in self.tasks:
            if task.name in seen:
                raise ValueError(f"two tasks are called {task.name!r}; give each its own name")
            seen.add(task.name)
            for destination in task.destinations:
                if destination.ae not in self.aes:
                    known = ", ".join(self.aes) or "none"
                    raise ValueError(
                        f"task {task.name!r} sends to {destination.ae!r}, which aes: does not list "
                        f"(it lists: {known})"
                    )
            for prompt in (prompt for target in task.targets for prompt in target.prompts):
                if not prompt.strip() or len(prompt) > PROMPT_MAX_CHARACTERS:
                    raise ValueError(
                        f"task {task.name!r} has a prompt of {len(prompt.strip())} characters; "
                        f"write 1 to {PROMPT_MAX_CHARACTERS}"
                    )
        return self

    def task(self, name: str) -> Task:
        """Return the task of that name.

        Raises
        ------
        ConfigError
            CONFIG-INVALID when there is none.
        """
        for task in self.tasks:
            if task.name == name:
                return task
        known = ", ".join(task.name for task in self.tasks) or "none"
        raise ConfigError(Code.CONFIG_INVALID, f"there is no task {name!r}; the configuration has: {known}")


def load_config(path: Path | None = None, site: Path | None = None) -> Config:
    """Return the effective configuration.

    Parameters
    ----------
    path
        The defaults; the packaged app.yaml when None.
    site
        The file that overrides them; the one named by TEXTSEG_CONFIG when None, if that is set.

    Raises
    ------
    ConfigError
        CONFIG-INVALID: names file and line, key path, and what to do.
    """
    if site is None and os.environ.get(SITE_VARIABLE):
        site = Path(os.environ[SITE_VARIABLE])
    defaults = absolute(read(path or PACKAGED))
    sources = (defaults,) if site is None else (absolute(read(site)), defaults)
    merged = defaults.content if site is None else merge(defaults.content, sources[0].content)
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError(Code.CONFIG_INVALID, explain(error, sources)) from error


def check(config: Config) -> tuple[str, ...]:
    """Return what is allowed but probably not meant, one sentence each; empty when nothing is."""
    problems = []
    if config.listener.host in ("127.0.0.1", "localhost", "::1"):
        problems.append(
            "listener.host is this computer only: archives elsewhere cannot connect (0.0.0.0 lets them)"
        )
    if not config.tasks:
        problems.append("tasks is empty: studies are received and nothing is computed")
    for task in config.tasks:
        if not task.destinations:
            problems.append(f"task {task.name}: no destinations, its results stay in {config.storage.outbox}")
        accepted = {kind for destination in task.destinations for kind in destination.accepts}
        unwanted = {output.upper() for output in task.outputs} - accepted if task.destinations else set()
        problems += [
            f"task {task.name}: makes {kind}, which no destination accepts" for kind in sorted(unwanted)
        ]
        if "pm" not in task.outputs and task.maps != Task.model_fields["maps"].default:
            problems.append(f"task {task.name}: names maps, but not pm among its outputs")
    if config.models.directory is not None and not config.models.directory.is_dir():
        problems.append(f"models.directory {config.models.directory} does not exist")
    return tuple(problems)


def effective(config: Config) -> str:
    """Return the effective configuration as YAML that a site file may be cut from."""

    def spelled(value: object) -> object:
        if isinstance(value, timedelta):
            return f"{value.total_seconds():g} s"
        if isinstance(value, Mapping):
            return {key: spelled(item) for key, item in value.items() if item is not None}
        if isinstance(value, list | tuple):
            return [spelled(item) for item in value]
        return str(value) if isinstance(value, Path) else value

    content = {key: spelled(value) for key, value in config.model_dump(by_alias=True).items()}
    content["storage"] = {
        "root": str(config.storage.root),
        "reserve": f"{config.storage.reserve / _BYTES['MB']:g} MB",
    }
    return str(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110))
