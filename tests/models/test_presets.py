"""The presets, and that their documentation says what they are."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from models.errors import Code, ConfigError
from models.presets import PRESETS, preset

DOCUMENT = Path(__file__).parents[2] / "docs" / "methods.md"
SHORT = {"v1": "medclip-sam", "v2": "medclip-sam-v2", "salip": "salip"}
TUNED = {"relevance": 0.7}


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def differing() -> dict[str, list[str]]:
    """The settings in which any two presets differ, with their values in the order of the presets."""
    columns = [dict(flat(preset(*key).record())) for key in PRESETS]
    rows = {name: [column[name] for column in columns] for name in columns[0]}
    return {n: row for n, row in rows.items() if len(set(row)) > 1 and n not in {"method", "mode"}}


def test_the_table_in_the_documentation_is_what_the_presets_are() -> None:
    _, _, after = DOCUMENT.read_text(encoding="utf-8").partition("<!-- presets: begin -->")
    lines = after.partition("<!-- presets: end -->")[0].strip().splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    named = [tuple(title.split()) for title in header[1:]]
    assert [(SHORT[method], mode) for method, mode in named] == list(PRESETS)
    assert {row[0].strip("`"): row[1:] for row in rows} == differing()


@pytest.mark.parametrize(("method", "mode"), PRESETS)
def test_a_bundles_own_numbers_belong_to_the_recommended_mode_alone(method: str, mode: str) -> None:
    taken = preset(method, mode, TUNED) != preset(method, mode)
    assert taken is (mode == "recommended")


def test_a_mode_that_a_method_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match=r"salip \(recommended, paper\)") as caught:
        preset("salip", "released")
    assert caught.value.code is Code.USAGE
