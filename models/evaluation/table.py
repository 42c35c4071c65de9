"""The report for people: tables for the terminal."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from models.evaluation.compare import Comparison, Metric
from models.evaluation.report import Heading, summarise, summarise_stages
from models.evaluation.run import Scored, statuses
from models.evaluation.statistics import Estimate
from models.evaluation.words import Words

LABELS = {
    "dsc": "DSC",
    "nsd": "NSD",
    "iou": "IoU",
    "auc": "pixel AUC of the map",
    "foreground_fraction": "foreground fraction",
    "uncertainty": "uncertainty (bits)",
    "ece": "ECE around the target",
    "aurc": "area under error retention",
}
STAGE_LABELS = {
    "map": "DSC after the map",
    "components": "DSC after components",
    "sam": "DSC after SAM (final)",
}


def scores_table(heading: Heading, scored: Sequence[Scored]) -> Table:
    """Return mean and 95 % interval of every metric, and the DSC after each stage."""
    what = heading.baseline or f"{heading.method} · {heading.mode}"
    table = Table(title=f"{heading.bundle} · {what}", caption=_caption(scored))
    table.add_column("metric")
    for column in ("mean", "95 % interval", "images"):
        table.add_column(column, justify="right")
    _add(table, LABELS, summarise(scored))
    table.add_section()
    _add(table, STAGE_LABELS, summarise_stages(scored))
    return table


def refusals_table(scored: Sequence[Scored]) -> Table | None:
    """Return name, code and reason of every image that was refused; None when there is none."""
    refused = [image for image in scored if image.row.status == "refused"]
    if not refused:
        return None
    table = Table("image", "code", "reason", title="refused")
    for image in refused:
        table.add_row(image.row.name, image.row.code, image.reason)
    return table


def comparison_table(metric: Metric, baseline: Estimate, found: Sequence[Comparison], label: str) -> Table:
    """Return one row per report: its mean, its difference from the baseline, effect and p-values."""
    table = Table("report", title=f"{LABELS[metric]} against {label} ({number(baseline.mean)})")
    for column in ("mean", "difference", "95 % interval", "effect d_z", "p, t-test", "p, Wilcoxon"):
        table.add_column(column, justify="right")
    for one in found:
        table.add_row(
            one.label,
            number(one.value.mean),
            number(one.difference.mean, "+.3f"),
            interval(one.difference, "+.3f"),
            number(one.adjusted.effect, "+.2f"),
            number(one.adjusted.t_test, ".2g"),
            number(one.adjusted.wilcoxon, ".2g"),
        )
    table.caption = f"two-sided, paired, after Holm's correction for {len(found)} comparisons"
    return table


def words_table(words: Words) -> Table:
    """Return how often each kind of prompt found something, and how well paraphrases agree."""
    table = Table("prompts", title="what the words decide")
    for column in ("asked", "found", "nothing found", "found, share"):
        table.add_column(column, justify="right")
    for kind, count in words.kinds.items():
        table.add_row(
            kind, str(count.asked), str(count.found), str(count.nothing_found), f"{count.found_share:.3f}"
        )
    agreement = words.agreement
    table.caption = (
        f"mean DSC between paraphrases {number(agreement.mean)} over {agreement.pairs} pairs "
        f"on {agreement.images} images"
    )
    return table


def _caption(scored: Sequence[Scored]) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in statuses(scored).items())
    seconds = sum(image.seconds for image in scored) / len(scored)
    patients = len({image.patient for image in scored})
    caption = f"{len(scored)} images of {patients} patients: {counts}; {seconds:.2f} s per image"
    absent = [image for image in scored if image.absent]
    if absent:
        alarms = statuses(absent)["found"]
        caption += f"; target absent on {len(absent)} images, found there all the same on {alarms}"
    return caption


def _add(table: Table, labels: Mapping[str, str], estimates: Mapping[str, Estimate]) -> None:
    for key, value in estimates.items():
        table.add_row(labels[key], number(value.mean), interval(value), str(value.images))


def number(value: float | None, form: str = ".3f") -> str:
    """Return a figure, or a dash where there is none."""
    return "-" if value is None else format(value, form)


def interval(value: Estimate, form: str = ".3f") -> str:
    """Return a 95 % interval, or a dash where there is none."""
    return "-" if value.ci95 is None else f"{value.ci95[0]:{form}} to {value.ci95[1]:{form}}"
