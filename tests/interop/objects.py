"""Every kind of object of every kind of source, for tools that know the standard and not us."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from pydicom.dataset import Dataset

from models.errors import Code
from operators.findings import Findings
from operators.key_object import key_object_selection
from operators.measurement_report import measurement_report
from operators.parametric_map import parametric_map
from operators.provenance import Provenance
from operators.quantity import QUANTITIES
from operators.secondary_capture import note, picture_of
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import ImageStack, VolumeStack, build_stack
from operators.study import read_folder
from operators.written import Written
from tests.operators.results import asymmetric
from tests.operators.synthetic import digital_xray, enhanced, phantom, radiograph, ultrasound, volume

SOURCES: dict[str, Callable[[Path], object]] = {
    "CT": volume,
    "MR": lambda folder: volume(folder, modality="MR", row=(0.96, 0.28, 0.0), column=(-0.28, 0.96, 0.0)),
    "CT, odd matrix": lambda folder: volume(folder, phantom()[:, :39, :47]),
    "one CT slice": lambda folder: [path.unlink() for path in volume(folder)[1:]],
    "Enhanced CT": lambda folder: enhanced(folder / "x.dcm"),
    "CR": lambda folder: radiograph(folder / "x.dcm"),
    "DX": lambda folder: digital_xray(folder / "x.dcm"),
    "MG": lambda folder: digital_xray(folder / "x.dcm", modality="MG"),
    "US": lambda folder: ultrasound(folder / "x.dcm"),
    "US loop": lambda folder: ultrasound(folder / "x.dcm", frames=5),
}


def stack_of(source: str, folder: Path) -> ImageStack:
    """The stack of one of ``SOURCES``, written into ``folder``."""
    SOURCES[source](folder)
    (series,) = read_folder(folder).series
    return build_stack(series)


def images(stack: ImageStack, findings: Findings, made: Provenance) -> Iterator[tuple[str, Dataset]]:
    """SEG as bits and as a label map, SC of a finding and "nothing found", PM of every quantity."""
    for kind in ("binary", "labelmap"):
        for seg, _ in _segs(stack, findings, _as(made, kind)):
            yield f"SEG {kind}", seg
    yield "SC", picture_of(stack, findings.planes[0], made)
    yield "SC nothing found", note(stack, made, "Nothing found", [])
    for pm in _maps(stack, findings, made):
        yield f"PM {pm.ContentLabel}", pm


def documents(stack: ImageStack, findings: Findings, made: Provenance) -> Iterator[tuple[str, Dataset]]:
    """SR of a SEG of either type with every map, SR of nothing found, KO."""
    maps = [Written.of(image, "PM") for image in _maps(stack, findings, made)]
    for kind in ("binary", "labelmap"):
        segs = _segs(stack, findings, _as(made, kind))
        written = [*(Written.of(seg, "SEG", plane) for seg, plane in segs), *maps]
        yield f"SR {kind}", measurement_report(stack, findings, _as(made, kind), written)
    nothing = Findings((), ((Code.TARGET_ABSENT, len(stack.planes)),))
    yield "SR nothing found", measurement_report(stack, nothing, made)
    yield "KO", key_object_selection(stack, findings.found, made)


def _as(made: Provenance, segmentation_type: str) -> Provenance:
    task = made.task.model_copy(update={"segmentation_type": segmentation_type})
    return replace(made, task=task)


def _maps(stack: ImageStack, findings: Findings, made: Provenance) -> list[Dataset]:
    """The entropy of a volume, as if it were every quantity."""
    if not isinstance(stack, VolumeStack):
        return []
    maps = [plane.entropy_map for plane in findings.planes]
    return [parametric_map(stack, quantity, maps, made) for quantity in QUANTITIES.values()]


def _segs(stack: ImageStack, findings: Findings, made: Provenance) -> list[tuple[Dataset, int | None]]:
    """The SEG of a volume, or that of every picture with its place in the stack."""
    if isinstance(stack, VolumeStack):
        return [(volume_segmentation(stack, findings, made), None)]
    return [(picture_segmentation(stack, finding, made), finding.plane) for finding in findings.planes]


def found_in(stack: ImageStack, targets: int = 1) -> Findings:
    """Findings on one or two planes."""
    return asymmetric(stack, (1, 3) if len(stack.planes) > 1 else (0,), targets)
