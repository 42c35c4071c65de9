"""Which layouts there are, by the name that ``--layout`` takes."""

from collections.abc import Callable, Mapping
from pathlib import Path

from models.errors import Code, ConfigError
from models.evaluation.dataset import Dataset, open_dataset
from models.evaluation.layouts.captions import Captioned, medpix, roco
from models.evaluation.layouts.findings import brain_labels, covid_chest
from models.evaluation.layouts.pictures import busi, chest_masks, covid_qu_ex, figshare_brain, hc18, udiat
from models.evaluation.layouts.volumes import cc359, lung_ct

MASKS: Mapping[str, Callable[[Path], Dataset]] = {
    "textseg": open_dataset,
    "busi": busi,
    "udiat": udiat,
    "figshare-brain": figshare_brain,
    "covid-qu-ex": covid_qu_ex,
    "lung-ct": lung_ct,
    "cc359": cc359,
    "hc18": hc18,
    "chest-masks": chest_masks,
}
CAPTIONS: Mapping[str, Callable[[Path], tuple[Captioned, ...]]] = {
    "roco": roco,
    "medpix": medpix,
    "covid-chest": covid_chest,
    "brain-labels": brain_labels,
}


def open_layout(name: str, folder: Path) -> Dataset:
    """Return the data set of a folder in the layout ``name``, checked.

    Raises
    ------
    ConfigError
        USAGE: there is no such layout, or it has captions and no masks.
    DatasetError
        The folder does not follow the layout.
    """
    if name not in MASKS:
        has = "has captions and no masks" if name in CAPTIONS else "is not known"
        raise ConfigError(Code.USAGE, f"layout {name!r} {has}; there is: {', '.join(MASKS)}")
    return MASKS[name](folder)


def open_captions(name: str, folder: Path) -> tuple[Captioned, ...]:
    """Return the captioned images of a folder in the layout ``name``.

    Raises
    ------
    ConfigError
        USAGE: there is no such layout of captions.
    DatasetError
        The folder does not follow the layout.
    """
    if name not in CAPTIONS:
        raise ConfigError(Code.USAGE, f"no layout {name!r} of captions; there is: {', '.join(CAPTIONS)}")
    return CAPTIONS[name](folder)
