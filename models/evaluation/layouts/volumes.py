"""Data sets of volumes, read slice by slice: each slice is an image, a volume is a patient.

One grey-value window serves a whole volume, as in the service. Slices are counted from 0 in the file's order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.contracts import Image
from models.errors import Code, DatasetError
from models.evaluation.dataset import Dataset, Item, assemble
from models.evaluation.metrics import Mask
from models.intensity import Window, WindowChoice, choose_window, display

SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class Kind:
    """What the volumes of a set are: DICOM modality, and the name of the window."""

    modality: str
    window: str


def cc359(folder: Path) -> Dataset:
    """Read CC359: ``Original/ID.nii.gz`` and ``Silver-standard/ID_*.nii.gz``, one image per sagittal slice.

    Slices without brain are kept with an empty mask: SaLIP drops them by looking at the truth, and twenty
    more at each end. The file ``ID`` names vendor and field strength, as in SaLIP's Table 1. Raises
    DatasetError.
    """
    return assemble(folder, _items(folder, "Original", "Silver-standard", "_*", Kind("MR", "auto")))


def lung_ct(folder: Path) -> Dataset:
    """Read the lung CT set: ``images/ID.EXT`` and ``masks/ID_lung.EXT``, one image per axial slice.

    EXT is nrrd, nii, nii.gz or mha; every label above 0 is lung. Slices without lung are kept with an empty
    mask. Raises DatasetError.
    """
    return assemble(folder, _items(folder, "images", "masks", "_lung", Kind("CT", "lung")))


def _items(folder: Path, images: str, masks: str, ending: str, kind: Kind) -> Iterator[Item]:
    for path in sorted((folder / images).glob("*")):
        suffix = next((one for one in SUFFIXES if path.name.lower().endswith(one)), None)
        if suffix is None:
            continue
        identity = path.name[: -len(suffix)]
        found = sorted(one for end in SUFFIXES for one in (folder / masks).glob(f"{identity}{ending}{end}"))
        if len(found) != 1:
            raise DatasetError(
                Code.DATASET_INVALID,
                f"{folder / masks}: {len(found)} masks named {identity}{ending}; each volume needs one",
            )
        yield from _slices(path, found[0], identity, kind)


def _slices(path: Path, mask: Path, identity: str, kind: Kind) -> Iterator[Item]:
    size, other = _size(path), _size(mask)
    if size != other:
        raise DatasetError(
            Code.DATASET_INVALID, f"{mask}: has {other} voxels, its image {size}; make them equal"
        )
    for index in range(size[0]):
        yield Item(
            name=f"{identity}_{index:04}",
            image=path,
            mask=mask,
            prompts=(),
            patient=identity,
            load_image=partial(_image, path, index, kind),
            load_mask=partial(_mask, mask, index),
        )


def _image(path: Path, index: int, kind: Kind) -> Image:
    values, window = _windowed(path, kind)
    return display(values[index], window)


def _mask(path: Path, index: int) -> Mask:
    mask: Mask = _voxels(path)[index] > 0
    return mask


def _size(path: Path) -> tuple[int, ...]:
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _unreadable(path) from error
    if reader.GetDimension() != 3:
        raise DatasetError(Code.DATASET_INVALID, f"{path}: has {reader.GetDimension()} dimensions, not 3")
    return tuple(reversed(reader.GetSize()))


@lru_cache(maxsize=4)
def _voxels(path: Path) -> npt.NDArray[np.float32]:
    import SimpleITK

    try:
        return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))), dtype=np.float32)
    except RuntimeError as error:
        raise _unreadable(path) from error


@lru_cache(maxsize=2)
def _windowed(path: Path, kind: Kind) -> tuple[npt.NDArray[np.float32], Window]:
    values = _voxels(path)
    return values, choose_window(values, kind.modality, WindowChoice(kind.window))


def _unreadable(path: Path) -> DatasetError:
    return DatasetError(Code.PIXELS_UNDECODABLE, f"{path}: not a readable volume; replace the file")
