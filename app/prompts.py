"""``textseg prompts``: the papers' kinds of prompt, and the question for a language model."""

import json

import typer
from rich.console import Console
from rich.table import Table

from models.prompts import known_tasks, prompt_set, prompt_sets


def list_prompts(as_json: bool) -> None:
    """Print which tasks, kinds and subtypes there are."""
    sets = [prompt_sets(task) for task in known_tasks()]
    if as_json:
        content = [
            {
                "task": one.task,
                "target": one.target,
                "modality": one.modality,
                "kinds": one.kinds(),
                "subtypes": [*one.subtypes, *filter(None, one.descriptive)],
            }
            for one in sets
        ]
        typer.echo(json.dumps(content, indent=2))
        return
    table = Table()
    table.add_column("task", no_wrap=True)
    for column in ("target", "modality", "kinds", "subtypes or sides"):
        table.add_column(column)
    for one in sets:
        names = (*one.subtypes, *filter(None, one.descriptive))
        table.add_row(one.task, one.target, one.modality, " ".join(one.kinds()), ", ".join(names) or "-")
    Console().print(table)


def show_prompts(task: str, kind: str, subtype: str | None, as_json: bool) -> None:
    """Print the wordings of one kind, a line each. ConfigError (USAGE) for what there is not."""
    wordings = prompt_set(task, kind, subtype)
    typer.echo(json.dumps(wordings, indent=2, ensure_ascii=False) if as_json else "\n".join(wordings))
