"""``textseg align`` and ``textseg crossfit``: train the lite bundle's alignment head again, and judge it.

Both read the training sets from a folder that the project does not carry (MODEL_CARD.md lists them) and keep
features and heads in a working folder, so that what was interrupted goes on.
"""

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from app.config import Config
from app.progress import counted, of_training
from models.align.folds import SHIPPED_WITHOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from models.align.features import Features
    from models.align.heads import Heads
    from models.evaluation.report import Heading

TASKS = {"breast_ultrasound": "breast-mass", "brain_mr": "brain-tumour", "chest_xray": "chest-lungs"}
"""The task whose prompts are asked of each set."""

CT_TASK = "ct-lungs"


@dataclass(frozen=True)
class Corpus:
    """Where the training sets lie, where features and heads are kept, and whether in bfloat16.

    With ``bf16`` tower and convolutions compute in bfloat16 where the processor has it: in about half the
    time, with features that are off by a twentieth, less than the noise that training adds to them.
    """

    data: Path
    work: Path
    processes: int
    bf16: bool = False
    kept_heads: Path | None = None

    @property
    def heads(self) -> "Heads":
        """Return where heads are kept: those trained with rounding apart, unless a folder is given."""
        from models.align.heads import Heads

        return Heads(self.kept_heads or self.work / f"heads{self._suffix}", self._rounded)

    def features(self, told: Callable[[int, int], None]) -> "list[Features]":
        """Return the features of the whole corpus; those that are not there yet are computed first.

        ``told`` hears how many of how many are done.
        """
        import torch

        from models.align.corpus import read
        from models.align.features import extract, load
        from models.bundles.bundle import verify

        samples = list(read(self.data))
        folder = self.work / f"features{self._suffix}"
        state = torch.load(verify("lite")["segmenter"], map_location="cpu", weights_only=True)
        extract(samples, state, folder, self.processes, self._rounded, told)
        return list(load(samples, folder))

    @property
    def _rounded(self) -> bool:
        from models.device import computes_bfloat16

        return self.bf16 and computes_bfloat16("cpu")

    @property
    def _suffix(self) -> str:
        return "-bf16" if self._rounded else ""


def align(corpus: Corpus, bundle: Path) -> int:
    """Train the shipped head, on folds 1 to 4, and put it with its hash into a bundle's folder."""
    from models.align.heads import train_head
    from models.align.train import PHASES
    from models.bundles.bundle import describe
    from models.bundles.seal import seal

    name = describe(bundle)["files"]["alignment-head"]["path"]
    with of_training() as progress:
        bar = progress.add_task("alignment head", total=sum(phase.epochs for phase in PHASES), loss="")
        path = train_head(
            partial(corpus.features, _bar_of_features(progress)),
            SHIPPED_WITHOUT,
            corpus.heads,
            lambda epoch, loss: progress.update(bar, completed=epoch + 1, loss=f"loss {loss:.3f}"),
        )
    shutil.copyfile(path, bundle / name)
    Console().print(f"{bundle / name}: SHA-256 {seal(bundle, 'alignment-head')}")
    return 0


def crossfit(config: Config, corpus: Corpus, report: Path | None) -> int:
    """Train one head per fold, score every image by the head that never saw it, and print the tables."""
    from models.align.crossfit import score
    from models.align.train import PHASES
    from models.evaluation.report import build, write
    from models.evaluation.table import scores_table, words_table

    heads = _heads(corpus)
    prompts = task_prompts(config) | ct_prompts(config)
    console = Console()
    with console.status("every image by the head that never saw it"):
        scored, words = score(corpus.data, heads, prompts, corpus.processes, corpus.work / "results")
    document: dict[str, Any] = {"phases": [asdict(phase) for phase in PHASES], "sets": {}}
    for origin, own in scored.items():
        heading = _heading(origin, prompts[origin])
        console.print(scores_table(heading, own))
        document["sets"][origin] = build(heading, own)
        if origin in words:
            console.print(words_table(words[origin]))
            document["sets"][origin]["words"] = asdict(words[origin])
    if report is not None:
        write(report, document)
    return 0


def side_by_side(config: Config, corpus: Corpus, each: int, report: Path | None) -> int:
    """Train one head per fold, run all methods on ``each`` held-out images per set and fold, print the table.

    Every finished row is kept under ``corpus.work``.
    """
    from models.align.side_by_side import Plan, compare
    from models.evaluation.grid import figures, record, terminal
    from models.evaluation.report import write

    heads = _heads(corpus)
    with counted() as progress:
        bar = progress.add_task("side by side", total=None)
        lines, images = compare(
            Plan(corpus.data, corpus.work / "side-by-side", each, task_prompts(config)),
            heads,
            lambda row, done, total: progress.update(bar, description=row, completed=done, total=total),
        )
    title = "all methods on held-out images"
    Console().print(terminal(figures(title, _caption(images), lines, list(images))))
    if report is not None:
        table = {**record(title, lines, list(images)), "images": dict(images), "each": each}
        write(report, {"side_by_side": table})
    return 0


def _caption(images: "Mapping[str, int]") -> str:
    counts = ", ".join(f"{number} of {origin}" for origin, number in images.items())
    return (
        f"Images: {counts}. Every row is held out: each image is asked of the head that saw neither it nor "
        "its patient, and a baseline's labelled images come from other folds."
    )


def task_prompts(config: Config) -> dict[str, tuple[str, ...]]:
    """Return what is asked of each set: the wordings of its task."""
    return {origin: config.task(task).targets[0].prompts for origin, task in TASKS.items()}


def ct_prompts(config: Config) -> dict[str, tuple[str, ...]]:
    """Return what is asked of thorax CT, in each window: the wordings of its task."""
    from models.align.chest_ct import SETS

    return dict.fromkeys(SETS, config.task(CT_TASK).targets[0].prompts)


def _heads(corpus: Corpus) -> "Sequence[Path]":
    from models.align.folds import FOLDS
    from models.align.heads import train_heads
    from models.align.train import PHASES

    epochs = sum(phase.epochs for phase in PHASES)
    with of_training() as progress:
        bar = progress.add_task("alignment heads", total=epochs * FOLDS, loss="")
        return train_heads(
            cache(partial(corpus.features, _bar_of_features(progress))),
            corpus.heads,
            lambda fold, epoch, loss: progress.update(
                bar, completed=(fold - 1) * epochs + epoch + 1, loss=f"fold {fold}, loss {loss:.3f}"
            ),
        )


def _heading(origin: str, prompts: tuple[str, ...]) -> "Heading":
    from models.bundles.bundle import load_bundle
    from models.evaluation.metrics import TOLERANCE_PX
    from models.evaluation.report import Heading
    from models.method import Method

    bundle = load_bundle("lite")
    settings = Method(bundle).settings
    return Heading(
        bundle=f"{origin}, 5-fold cross-fit of {bundle.name}",
        bundle_version=bundle.version,
        bundle_digest=bundle.digest,
        method=settings.method,
        mode=settings.mode,
        prompt=" | ".join(prompts),
        prompts=prompts,
        task=TASKS.get(origin, CT_TASK),
        ensemble="off",
        software_version=version("textseg"),
        seed=0,
        nsd_tolerance_px=TOLERANCE_PX,
        settings=settings.record(),
    )


def _bar_of_features(progress: Progress) -> Callable[[int, int], None]:
    """Return what shows how many features are computed: nothing until there are some to compute."""
    bar = progress.add_task("features", visible=False, loss="")
    return lambda done, total: progress.update(bar, completed=done, total=total, visible=True)
