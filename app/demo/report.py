"""The demonstration's answers as a table for people and as JSON for programs."""

import json
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from rich.table import Table

from app.demo.answers import Answer
from app.demo.validate import kind, validator

SCHEMA_VERSION = 1
NOTICEABLE_SECONDS = 0.05


def table(answers: Sequence[Answer]) -> Table:
    """Return a row per answer: study, prompt, status, size, mean uncertainty, seconds per stage, objects."""
    result = Table(title="What came back over DICOM", title_justify="left", show_lines=True)
    for heading in ("study", "prompt", "status"):
        result.add_column(heading)
    result.add_column("size", justify="right", no_wrap=True)
    result.add_column("mean uncertainty", justify="right")
    result.add_column("seconds per stage", no_wrap=True)
    result.add_column("objects")
    for answer in answers:
        result.add_row(
            answer.question.study.title,
            answer.question.prompt,
            _status(answer),
            "-" if answer.extent is None else f"{answer.extent[0]:.1f} {answer.extent[1]}",
            "-" if answer.uncertainty is None else f"{answer.uncertainty:.3f} bit",
            _stages(answer),
            " ".join(sorted(kind(dcmread(path, stop_before_pixels=True)) for path in answer.files)),
        )
    return result


def _stages(answer: Answer) -> str:
    """Return a line per stage that took noticeable time, and their sum."""
    shown = [(stage, value) for stage, value in answer.seconds.items() if value >= NOTICEABLE_SECONDS]
    rows = [*shown, ("total", sum(answer.seconds.values()))]
    return "\n".join(f"{stage:<8} {value:6.1f}" for stage, value in rows)


def _status(answer: Answer) -> str:
    colour = "red" if answer.problems else "green"
    return f"[{colour}]{answer.status.replace('-', ' ')}[/]"


def write(answers: Sequence[Answer], seconds: float, output: Path) -> None:
    """Write report.json below ``output``; its paths are relative to that folder.

    Parameters
    ----------
    answers
        One per question.
    seconds
        From the first image sent to the last result received.
    output
        The demo's folder.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "notice": "Research use only, not for diagnosis.",
        "seconds": round(seconds, 1),
        "conformance_checked_with": "dciodvfy" if validator() else None,
        "valid": not any(answer.problems for answer in answers),
        "answers": [_row(answer, output) for answer in answers],
    }
    (output / "report.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _row(answer: Answer, output: Path) -> dict[str, object]:
    question, extent = answer.question, answer.extent
    return {
        "study": question.study.title,
        "source": question.study.source,
        "study_instance_uid": question.study.study_instance_uid,
        "task": question.task,
        "prompt": question.prompt,
        "expected": question.expected,
        "status": answer.status,
        "size": None if extent is None else {"value": extent[0], "unit": extent[1]},
        "mean_uncertainty_bits": answer.uncertainty,
        "seconds": dict(answer.seconds),
        "files": [str(path.relative_to(output)) for path in answer.files],
        "picture": None if answer.picture is None else str(answer.picture.relative_to(output)),
        "problems": list(answer.problems),
    }
