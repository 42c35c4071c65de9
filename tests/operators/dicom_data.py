"""Every file of a folder through gate, pixels and writers, and a table of what became of it.

    python -m tests.operators.dicom_data FOLDER docs/dicom-data.md

The models are replaced by a threshold, so that what is proved is where results lie and not what is found:
each segmentation is read back and laid on its sources by position, and has to be the threshold of each.
"""

import io
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import numpy.typing as npt
import pydicom

from operators.findings import Findings, PlaneFinding, crop_finding
from operators.parametric_map import quantity_map
from operators.secondary_capture import picture_of
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.selection import Decision, PlannedRun, plan
from operators.stack import ImageStack, VolumeStack, build_stack
from operators.study import Series, read_folder
from operators.task import prompt_task
from tests.operators.results import provenance

TITLE = """# What becomes of real DICOM files

Written by `python -m tests.operators.dicom_data FOLDER docs/dicom-data.md` over a folder of public test
data, file by file: gate, pixels and writers as in the service, the models replaced by a threshold. *On its
slices* counts the images on which the written segmentation, read back by highdicom, has exactly the pixels
of that threshold, at the position of that image. [dicom.md](dicom.md) says what the codes mean.

| files | read as | window | result | on its slices | code |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """What became of one series, or of one file that belongs to none, with the codes of all its faults."""

    files: str
    read_as: str
    window: str
    objects: tuple[str, ...]
    right: int
    images: int
    codes: tuple[str, ...]


def survey(root: Path) -> list[Row]:
    """Return a row per series and per file that is in none, in order of their paths."""
    folder = read_folder(root)
    rows = [_row(run, root) for run in plan(folder, [prompt_task("whatever is bright")])]
    notes = (*folder.damaged, *folder.ignored)
    rows += [Row(str(note.path.relative_to(root)), "-", "", (), 0, 0, (note.code,)) for note in notes]
    return sorted(rows, key=lambda row: row.files)


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a page in Markdown."""
    lines = [
        f"| {row.files} | {row.read_as} | {row.window} | {' + '.join(row.objects) or '-'} | "
        f"{f'{row.right} of {row.images}' if row.objects else '-'} | {', '.join(row.codes)} |"
        for row in rows
    ]
    return TITLE + "\n".join(lines) + "\n"


def _row(run: PlannedRun, root: Path) -> Row:
    files = _files(run.series, root)
    if run.decision is not Decision.RUN:
        return Row(files, run.series.modality, "", (), 0, 0, _codes(run))
    stack = build_stack(run.series)
    results = list(_results(stack))
    right = sum(result.right for result in results)
    kinds = tuple(dict.fromkeys(kind for result in results for kind in result.kinds))
    return Row(files, _read_as(stack), stack.view(0).window.rule, kinds, right, len(stack.planes), ())


def _codes(run: PlannedRun) -> tuple[str, ...]:
    """Return the code of a refusal and those of the other faults that its reason names."""
    return (str(run.code), *re.findall(r"Also ([A-Z-]+):", run.reason))


def _files(series: Series, root: Path) -> str:
    paths = [instance.path.relative_to(root) for instance in series.instances]
    names = [str(path) for path in paths]
    return names[0] if len(names) == 1 else f"{paths[0].parent}/ ({len(names)} files from {paths[0].name})"


def _read_as(stack: ImageStack) -> str:
    modality, rows, columns = (
        stack.series.modality,
        stack.planes[0].instance.rows,
        stack.planes[0].instance.columns,
    )
    if isinstance(stack, VolumeStack):
        mm = " x ".join(f"{size:.2f}" for size in stack.grid.spacing)
        return f"{modality} volume, {len(stack.planes)} x {rows} x {columns} of {mm} mm"
    return f"{modality}, {len(stack.planes)} pictures of {rows} x {columns}"


@dataclass(frozen=True)
class Result:
    """Kinds of object that were written, and the number of images on which the segmentation is right."""

    kinds: tuple[str, ...]
    right: int


def _results(stack: ImageStack) -> Iterator[Result]:
    made = provenance()
    if isinstance(stack, VolumeStack):
        found = [_bright(stack, index) for index in range(len(stack.planes))]
        findings = Findings(tuple(finding for finding in found if finding is not None), ())
        quantity_map(stack, findings, made).save_as(io.BytesIO(), enforce_file_format=True)
        seg = volume_segmentation(stack, findings, made)
        yield Result(("SEG", "PM"), _right(seg, stack, findings.planes))
        return
    for index in range(len(stack.planes)):
        finding = _bright(stack, index)
        assert finding is not None
        picture_of(stack, finding, made).save_as(io.BytesIO(), enforce_file_format=True)
        seg = picture_segmentation(stack, finding, made)
        yield Result(("SEG", "SC"), _right(seg, stack, [finding]))


def _bright(stack: ImageStack, index: int) -> PlaneFinding | None:
    """Return what is at least half as bright as the brightest pixel that is searched."""
    view = stack.view(index)
    grey = view.searched.max(axis=2)
    mask = grey >= max(1, int(grey.max()) // 2)
    return crop_finding(index, view.window.rule, mask[None], mask[None].astype(np.float32), view.area)


def _right(seg: pydicom.Dataset, stack: ImageStack, findings: Sequence[PlaneFinding]) -> int:
    """Read a segmentation back and count the findings that it shows, pixel by pixel, on their own images."""
    buffer = io.BytesIO()
    seg.save_as(buffer, enforce_file_format=True)
    read = hd.seg.segread(io.BytesIO(buffer.getvalue()))
    frames = dict(_frames(read))
    right = 0
    for finding in findings:
        plane = stack.planes[finding.plane]
        shown = frames.get((plane.instance.sop_instance_uid, plane.frame + 1))
        expected = finding.full_masks(plane.instance.rows, plane.instance.columns)[0]
        in_place = shown is not None and (plane.position is None or _near(shown[1], plane.position))
        right += in_place and shown is not None and np.array_equal(shown[0], expected)
    return right


def _frames(
    seg: pydicom.Dataset,
) -> Iterator[tuple[tuple[str, int], tuple[npt.NDArray[np.bool_], Sequence[float]]]]:
    """Yield (SOP Instance UID, frame number) of the source of every frame, its pixels and its position."""
    pixels = np.asarray(seg.pixel_array, dtype=np.bool_).reshape(-1, seg.Rows, seg.Columns)
    for shown, frame in zip(pixels, seg.PerFrameFunctionalGroupsSequence, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        number = int(source.get("ReferencedFrameNumber", 1))
        yield (
            (source.ReferencedSOPInstanceUID, number),
            (shown, frame.PlanePositionSequence[0].ImagePositionPatient),
        )


def _near(one: Sequence[float], other: Sequence[float]) -> bool:
    return bool(np.allclose(np.asarray(one, dtype=np.float64), other, atol=1e-3))


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(table(survey(Path(sys.argv[1]))), encoding="utf-8")
