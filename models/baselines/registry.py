"""The baselines by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from models.baselines.contract import Baseline
from models.baselines.protosam import ProtoSam
from models.baselines.sam_clip import SamClip
from models.baselines.samaug import Rule, SamAug
from models.baselines.self_prompt import SelfPromptSam, Visual
from models.baselines.truth_boxes import TruthBoxes
from models.baselines.universeg import UniverSegBaseline
from models.baselines.unprompted import Unprompted
from models.errors import Code, ConfigError
from models.salip.settings import SalipSettings


@dataclass(frozen=True)
class Options:
    """What single baselines want to know: each reads its own.

    Attributes
    ----------
    salip
        Settings of SaLIP, for ``sam-clip``.
    rule
        How ``samaug`` places its second point.
    visual
        Which prompt ``self-prompt-sam`` gives.
    weights
        The weights file of ``universeg``.
    command
        The program behind ``protosam`` and its first arguments.
    """

    salip: SalipSettings = field(default_factory=SalipSettings)
    rule: Rule = "distance"
    visual: Visual = "box"
    weights: Path | None = None
    command: tuple[str, ...] = ()


BASELINES: Mapping[str, Callable[[Options], Baseline]] = {
    "sam-unprompted": lambda _: Unprompted(),
    "sam-truth-boxes": lambda _: TruthBoxes(),
    "sam-clip": lambda options: SamClip(options.salip),
    "samaug": lambda options: SamAug(options.rule),
    "self-prompt-sam": lambda options: SelfPromptSam(options.visual),
    "universeg": lambda options: UniverSegBaseline(options.weights),
    "protosam": lambda options: ProtoSam(options.command),
}


def baseline(name: str, options: Options | None = None) -> Baseline:
    """Return a baseline by name. Raises ConfigError (USAGE) for a name that there is not."""
    if name not in BASELINES:
        raise ConfigError(Code.USAGE, f"no baseline {name!r}; there are {', '.join(BASELINES)}")
    return BASELINES[name](options or Options())
