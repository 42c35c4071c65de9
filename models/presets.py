"""The named configurations: three methods, each as we recommend it, as its paper says, as its code does.

A preset is a literal set of differences from :class:`models.settings.Settings`. What a paper leaves open
keeps the default: members and their jittered boxes are ours, because one path knows no uncertainty.
"""

from collections.abc import Mapping
from typing import Any

from models.errors import Code, ConfigError
from models.settings import Settings

Overrides = Mapping[str, Any]

_BELIEVED: Overrides = {"margins": (0.0,), "outline": 1.0, "trust": 0.0}
"""SAM as the papers use it: one tight box, and its answer stands."""

PRESETS: dict[tuple[str, str], Overrides] = {
    # gScoreCAM, dense CRF, a box per component (MedCLIP-SAM).
    ("medclip-sam", "recommended"): {
        "saliency": {"method": "gscorecam", "gscorecam": {"top": 100}},
        "masks": {"binarise": "crf"},
    },
    ("medclip-sam", "paper"): {
        "relevance": 0.0,
        "saliency": {"method": "gscorecam", "framing": "crop", "weigh": False},
        "masks": {"binarise": "crf", "keep": "area", "components": 1},
        "visual": _BELIEVED,
    },
    # M2IB, Otsu, components by confidence (MedCLIP-SAMv2, section 3.2).
    ("medclip-sam-v2", "recommended"): {},
    ("medclip-sam-v2", "paper"): {
        "relevance": 0.0,
        "saliency": {"framing": "crop", "weigh": False, "m2ib": {"copies": 10}},
        "masks": {"keep": "confidence"},
        "visual": _BELIEVED,
    },
    # The released scripts: 2-means instead of Otsu, the largest component, the gate after block 7.
    ("medclip-sam-v2", "released"): {
        "relevance": 0.0,
        "saliency": {"framing": "crop", "weigh": False, "layer": 7, "m2ib": {"copies": 10}},
        "masks": {"binarise": "two-means", "keep": "area", "components": 1},
        "visual": _BELIEVED,
    },
    # Everything, crops, the best of them, SAM again (SaLIP).
    ("salip", "recommended"): {},
    ("salip", "paper"): {
        "relevance": 0.0,
        "saliency": {"framing": "crop"},
        "salip": {"margin": 0.0, "duplicate": 1.0},
        "visual": _BELIEVED,
    },
}
METHODS = tuple(dict.fromkeys(method for method, _ in PRESETS))
MODES = ("recommended", "paper", "released")


def preset(
    method: str, mode: str, tuned: Overrides | None = None, overrides: Overrides | None = None
) -> Settings:
    """Return the settings of a method and mode.

    ``tuned`` are a bundle's own numbers; they belong to ``recommended`` only. ``overrides`` are the user's
    and hold in every mode.

    Raises
    ------
    ConfigError
        USAGE: there is no such preset; CONFIG-INVALID: an override is no setting, or has an impossible value.
    """
    if (method, mode) not in PRESETS:
        known = ", ".join(f"{m} ({', '.join(o for k, o in PRESETS if k == m)})" for m in METHODS)
        raise ConfigError(Code.USAGE, f"there is no method {method!r} in mode {mode!r}; there is: {known}")
    settings = Settings(method=method, mode=mode).overridden(PRESETS[method, mode])
    if tuned and mode == "recommended":
        settings = settings.overridden(tuned)
    try:
        return settings.overridden(overrides) if overrides else settings
    except ValueError as error:
        raise ConfigError(
            Code.CONFIG_INVALID, f"settings of {method}: {error}; models/settings.py lists all of them"
        ) from error
