"""Volumes of the corpus as axial slices, and the windows that CT is shown in."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.intensity import CT_WINDOWS, Window

WINDOWS = ("soft-tissue", "lung")
"""Every CT slice of the corpus is shown in both."""


def axial(path: Path) -> npt.NDArray[np.float32]:
    """Read a NIfTI volume as (slices, rows, columns): feet to head, anterior to posterior, right to left."""
    import nibabel

    canonical = nibabel.as_closest_canonical(nibabel.load(path))
    ras = np.asarray(canonical.dataobj, dtype=np.float32)
    return np.ascontiguousarray(ras[::-1, ::-1].transpose(2, 1, 0))


def ct_windows(name: str) -> Iterator[tuple[str, Window]]:
    """Yield a slice's name with its window for each window that CT is shown in."""
    for window in WINDOWS:
        centre, width = CT_WINDOWS[window]
        yield f"{name}_{window}", Window(centre - width / 2, centre + width / 2, window)


def dicom_axial(folder: Path) -> npt.NDArray[np.float32]:
    """Read the one CT series that comes as DICOM through the image reader that its users know (SimpleITK)."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayFromImage(reader.Execute()).astype(np.float32)


def dicom_slice(path: Path) -> npt.NDArray[np.float32]:
    """Read one axial CT slice (rows, columns) in Hounsfield units."""
    import SimpleITK

    return np.asarray(SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path))[0], dtype=np.float32)
