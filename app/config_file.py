"""A configuration file as text: sections, the line each key stands on, and errors that quote both."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from models.errors import Code, ConfigError


@dataclass(frozen=True)
class Source:
    """One YAML file: its content, and its nodes, which know their lines."""

    path: Path
    content: dict[str, Any]
    node: yaml.Node | None

    def line(self, keys: tuple[str | int, ...]) -> int | None:
        """Return the line (from 1) of the deepest part of ``keys`` stated here; None when no part is."""
        node, line = self.node, None
        for key in keys:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == str(key)), None)
                if found is None:
                    return line
                line, node = found[0].start_mark.line + 1, found[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
                line = node.start_mark.line + 1
        return line


def read(path: Path) -> Source:
    """Read one YAML file of sections.

    Raises
    ------
    ConfigError
        CONFIG-INVALID when it is missing, no YAML, or no mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            Code.CONFIG_INVALID, f"{path}: cannot be read ({error}); give an existing YAML file"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(Code.CONFIG_INVALID, f"{path}: is not YAML: {error}") from error
    if not isinstance(content or {}, dict):
        raise ConfigError(Code.CONFIG_INVALID, f"{path}: must be sections such as 'listener:', not a list")
    return Source(path, content or {}, node)


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``over`` on ``base``: mappings key by key, everything else replaces."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def absolute(source: Source) -> Source:
    """Make the paths that a file states relative to that file, whatever the working directory."""
    content = merge(source.content, {})
    for section, key in (("storage", "root"), ("models", "directory")):
        value = content.get(section, {}).get(key) if isinstance(content.get(section), dict) else None
        if isinstance(value, str):
            resolved = (source.path.resolve().parent / Path(value).expanduser()).resolve()
            content[section] = {**content[section], key: str(resolved)}
    return Source(source.path, content, source.node)


def explain(error: ValidationError, sources: tuple[Source, ...]) -> str:
    """One line per problem: file and line, key path, what is wrong."""
    lines = []
    for problem in error.errors():
        keys = tuple(key for key in problem["loc"] if isinstance(key, str | int))
        stating = next((source for source in sources if source.line(keys) is not None), sources[-1])
        place = f"{stating.path}:{stating.line(keys)}" if stating.line(keys) else str(stating.path)
        path = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")
        if problem["type"] == "extra_forbidden":
            what = "unknown key; remove it or correct its spelling"
        elif problem["type"] == "missing":
            what = "is missing; add it"
        else:
            what = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {path}: {what}" if path else f"{place}: {what}")
    return "; ".join(lines)
