"""The images that the alignment head learns from: regions with names, and images with captions.

A sample says which concepts it shows and where (``regions``), which it shows somewhere (``present``), and
which it certainly does not show (``absent``). Concepts in none of the three are unknown on that image and
teach nothing. The sets are described in the data folder's README; none of their pixels is committed here.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from models.align.chest_ct import EVERY, chest_ct_slices
from models.align.concepts import LESIONS
from models.align.folds import committed
from models.align.sample import ALL_CONCEPTS, Mask, Sample
from models.align.volumes import axial, ct_windows, dicom_axial
from models.contracts import Image
from models.errors import Code, DatasetError
from models.intensity import choose_window, display


def _grey(path: Path) -> Image:
    try:
        with PILImage.open(path) as opened:
            return np.asarray(opened.convert("RGB"))
    except OSError as error:
        raise DatasetError(Code.DATASET_INVALID, f"{path}: not a readable image ({error})") from error


def _mask(path: Path) -> Mask:
    return np.asarray(_grey(path)[:, :, 0] > 127)


def _closed(shown: frozenset[str], unknown: frozenset[str] = frozenset()) -> frozenset[str]:
    """Everything that is neither shown nor unknown is absent."""
    return ALL_CONCEPTS - shown - unknown


def _kinds(prefix: str) -> frozenset[str]:
    return frozenset(concept for concept in LESIONS if concept.startswith(prefix))


def masked_sets(data: Path) -> Iterator[Sample]:
    """Yield breast ultrasound, brain MR and chest X-ray with masks and committed folds."""
    labels = {(r["task"], r["name"]): r["label"] for r in _rows(data / "labels.csv")}
    general = {"breast_ultrasound": "breast-mass", "brain_mr": "brain-tumour", "chest_xray": "lungs"}
    for (origin, name), fold in committed().items():
        label, concept = labels[origin, name], general[origin]
        mask = _mask(data / origin / "masks" / f"{name}.png")
        kind = f"{concept}-{label}"
        regions = {concept: mask} if mask.any() else {}
        unknown = frozenset({"brain", "skull"}) if origin == "brain_mr" else frozenset()
        if regions and kind in LESIONS:
            regions[kind] = mask
            unknown |= _kinds(concept)
        image = _grey(data / origin / "images" / f"{name}.png")
        yield Sample(origin, name, image, fold, regions, absent=_closed(frozenset(regions), unknown))


CAPTIONED_FIRST = 30
"""So many of the captioned brain slices of each label teach every phase; the others only the last."""

CAPTIONED_LATER = "brain_mr_captioned"

JUDGED_WITHOUT_TUMOUR = slice(30, 80)
"""These of the slices labelled "no tumor" are never trained on: a prompt for a tumour must find nothing."""


def captioned_brain(data: Path) -> Iterator[Sample]:
    """Yield brain MR slices with an image-level label only: a caption without a place."""
    counts: dict[str, int] = {}
    judged = {path.stem for path in brain_without_tumour(data)}
    for row in _rows(data / "brain_mr_unlabelled" / "labels.csv"):
        label = row["label"]
        counts[label] = counts.get(label, 0) + 1
        if row["name"] in judged:
            continue
        origin = "brain_mr_unlabelled" if counts[label] <= CAPTIONED_FIRST else CAPTIONED_LATER
        image = _grey(data / "brain_mr_unlabelled" / "images" / f"{row['name']}.png")
        unknown = frozenset({"brain", "skull"})
        kind = f"brain-tumour-{label.split()[0]}"
        present = frozenset({"brain-tumour", kind}) if kind in LESIONS else frozenset()
        if present:
            unknown |= _kinds("brain-tumour")
        yield Sample(origin, row["name"], image, present=present, absent=_closed(present, unknown))


def captioned_chest(data: Path, limit: int) -> Iterator[Sample]:
    """Yield chest radiographs with a finding but no mask: they show lungs somewhere and no other concept."""
    folder = data / "image_text" / "chest_xray_covid" / "images"
    shown = frozenset({"lungs"})
    for path in sorted(folder.glob("*.png"))[:limit]:
        yield Sample("chest_xray_covid", path.stem, _grey(path), present=shown, absent=_closed(shown))


def organ_slices(data: Path) -> Iterator[Sample]:
    """Yield the five CT and MR slices with one named mask each (ct_organs). Unnamed organs are unknown."""
    folder = data / "ct_organs"
    names = {
        "aorta": "aorta", "inferior_vena_cava": "inferior-vena-cava", "liver": "liver", "spleen": "spleen",
        "autochthon": "back-muscles", "heart": "heart", "lung": "lungs", "rib": "ribs", "vertebrae":
        "vertebrae", "colon": "colon", "femur": "femurs", "gluteus": "gluteal-muscles", "hip": "hips",
    }  # fmt: skip
    for path in sorted((folder / "images").glob("*.png")):
        regions: dict[str, Mask] = {}
        for mask_path in sorted((folder / "masks").glob(f"{path.stem}_*.png")):
            label = mask_path.stem.removeprefix(f"{path.stem}_")
            concept = next((concept for start, concept in names.items() if label.startswith(start)), None)
            if concept is not None:
                mask = _mask(mask_path)
                regions[concept] = regions.get(concept, np.zeros_like(mask)) | mask
        absent = frozenset(LESIONS) | {"brain", "skull"}
        yield Sample("ct_organs", path.stem, _grey(path), regions=regions, absent=absent, mirrors=False)


_TOTAL_CT: dict[str, tuple[int, ...]] = {
    "spleen": (1,), "kidneys": (2, 3), "gallbladder": (4,), "liver": (5,), "stomach": (6,), "pancreas": (7,),
    "lungs": (10, 11, 12, 13, 14), "oesophagus": (15,), "trachea": (16,), "small-bowel": (18,), "colon":
    (20,), "urinary-bladder": (21,), "prostate": (22,), "vertebrae": tuple(range(26, 51)), "heart": (51,),
    "aorta": (52,), "inferior-vena-cava": (63,), "femurs": (75, 76), "hips": (77, 78), "gluteal-muscles":
    tuple(range(80, 86)), "back-muscles": (86, 87), "brain": (90,), "skull": (91,), "ribs": tuple(range(92,
    116)),
}  # fmt: skip
"""Label values of TotalSegmentator's 117-class CT map, by concept."""

_TOTAL_MR: dict[str, tuple[int, ...]] = {"spleen": (1,), "kidneys": (2, 3), "liver": (5,)}
"""The label values that the CT and MR maps of TotalSegmentator share."""


def _regions(labels: npt.NDArray[np.float32], table: dict[str, tuple[int, ...]]) -> dict[str, Mask]:
    """Regions of one slice; a sliver of under 12 pixels is no example of an organ."""
    regions = {concept: np.isin(labels, values) for concept, values in table.items()}
    return {concept: mask for concept, mask in regions.items() if mask.sum() >= 12}


def label_map_slices(data: Path, every: int) -> Iterator[Sample]:
    """Yield slices of the volumes with TotalSegmentator label maps, CT in two windows."""
    folder = data / "dicom" / "ct_mr_totalsegmentator"
    series = (
        ("ct_dicom", dicom_axial(folder / "example_ct_dicom"), folder / "example_seg_dicom.nii.gz", "CT"),
        ("ct_small", axial(folder / "example_ct_sm.nii.gz"), folder / "example_seg.nii.gz", "CT"),
        ("mr_small", axial(folder / "example_mr_sm.nii.gz"), folder / "example_seg_mr.nii.gz", "MR"),
    )
    for name, volume, label_path, modality in series:
        labels = axial(label_path)
        table = _TOTAL_CT if modality == "CT" else _TOTAL_MR
        window = choose_window(volume, modality)
        for index in range(0, len(volume), every):
            regions = _regions(labels[index], table)
            known = ALL_CONCEPTS if modality == "CT" else frozenset(LESIONS) | {"brain", "skull", *_TOTAL_MR}
            slivers = {concept for concept, values in table.items() if np.isin(labels[index], values).any()}
            absent = known - slivers
            shown = ct_windows(name) if modality == "CT" else iter([(name, window)])
            for label, chosen in shown:
                image = display(volume[index], chosen)
                yield Sample(
                    "totalsegmentator", f"{label}_{index:03}", image, 0, regions, absent=absent, mirrors=False
                )


def brain_template(every: int) -> Iterator[Sample]:
    """Yield axial slices of the MNI152 T1 template with the brain mask that nilearn ships."""
    from nilearn.datasets import load_mni152_brain_mask, load_mni152_template

    volume = np.asarray(load_mni152_template(resolution=1).dataobj, dtype=np.float32)
    brain = np.asarray(load_mni152_brain_mask(resolution=1).dataobj) > 0
    window = choose_window(volume, "MR")
    for axis, name in ((2, "axial"), (1, "coronal"), (0, "sagittal")):
        for index in range(8, volume.shape[axis] - 8, every if axis == 2 else 3 * every):
            mask = (
                np.take(brain, index, axis)[::-1, ::-1].T
                if axis == 2
                else np.take(brain, index, axis).T[::-1]
            )
            values = (
                np.take(volume, index, axis)[::-1, ::-1].T
                if axis == 2
                else np.take(volume, index, axis).T[::-1]
            )
            shown = frozenset({"brain"})
            regions = {"brain": np.ascontiguousarray(mask)} if mask.mean() > 0.01 else {}
            absent = _closed(shown, frozenset({"skull"}))
            image = display(np.ascontiguousarray(values), window)
            yield Sample("mni152", f"{name}_{index:03}", image, 0, regions, absent=absent)


def tumour_volume(data: Path) -> Iterator[Sample]:
    """Yield axial slices of the one brain MR volume with a tumour label."""
    import SimpleITK

    folder = data / "volumes" / "brain_mr_tumour"
    volume = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(folder / "brain1_image.nrrd")).astype(np.float32)
    labels = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(folder / "brain1_label.nrrd")) > 0
    window = choose_window(volume, "MR")
    for index in range(len(volume)):
        regions = {"brain-tumour": labels[index]} if labels[index].sum() >= 12 else {}
        unknown = _kinds("brain-tumour-") | {"brain", "skull"}
        if labels[index].any() and not regions:
            unknown |= {"brain-tumour"}
        absent = _closed(frozenset(regions), unknown)
        yield Sample(
            "brain_mr_volume", f"axial_{index:03}", display(volume[index], window), 0, regions, absent=absent
        )


def brain_without_tumour(data: Path) -> list[Path]:
    """Return the brain MR slices labelled "no tumor" that the corpus leaves out, in their order."""
    rows = _rows(data / "brain_mr_unlabelled" / "labels.csv")
    names = [row["name"] for row in rows if row["label"] == "no tumor"]
    return [data / "brain_mr_unlabelled" / "images" / f"{name}.png" for name in names[JUDGED_WITHOUT_TUMOUR]]


def read(data: Path) -> Iterator[Sample]:
    """Yield the whole corpus in a fixed order. ``data`` is the folder with the sets' README."""
    if not (data / "labels.csv").is_file():
        raise DatasetError(
            Code.DATASET_INVALID, f"{data}: no labels.csv; give the folder that holds the training sets"
        )
    yield from masked_sets(data)
    yield from organ_slices(data)
    yield from label_map_slices(data, every=2)
    yield from chest_ct_slices(data, EVERY)
    yield from brain_template(every=9)
    yield from tumour_volume(data)
    yield from captioned_brain(data)
    yield from captioned_chest(data, limit=30)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))
