"""OHIF shows our results where they belong, in a real browser, out of a real archive."""

import functools
import itertools
import operator

import numpy as np
import pydicom
import pytest

from operators.parametric_map import quantity_map
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import build_stack
from operators.study import read_folder
from tests.interop.ohif import needs_viewer, viewer
from tests.operators.arrangements import (
    CORNER,
    OBLIQUE,
    SPACING,
    arranged,
    body,
    found_everywhere,
    points,
    valued_points,
)
from tests.operators.results import ANATOMY, LIVER, asymmetric, provenance, task
from tests.operators.synthetic import (
    ROOT,
    digital_xray,
    enhanced,
    legacy_converted,
    radiograph,
    ultrasound,
    volume,
)

pytestmark = [needs_viewer, pytest.mark.peers, pytest.mark.slow, pytest.mark.timeout(1800)]

AXIAL, DOWNWARDS = np.eye(3), np.diag([1.0, 1.0, -1.0])
CORONAL = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
SAGITTAL = np.array([[0, -1.0, 0], [0, 0, 1], [-1, 0, 0]])
VOLUMES = {
    "CT": ("CT", "binary", AXIAL, None),
    "MR": ("MR", "binary", AXIAL, OBLIQUE),
    "label map": ("CT", "labelmap", AXIAL, None),
    "files downwards": ("CT", "binary", DOWNWARDS, None),
    "coronal": ("MR", "binary", CORONAL, None),
    "sagittal, mirrored": ("MR", "binary", SAGITTAL, None),
    "oblique, files downwards": ("CT", "binary", DOWNWARDS, OBLIQUE),
}
TARGETS = {"Outer": (400, 800), "Inner": (600,)}
COLOURS = [(255, 99, 71), (64, 160, 255)]
"""What the writer gives to the first and to the second segment: red and blue."""
UIDS = (f"{ROOT}.30.{number}" for number in itertools.count(1))


@pytest.fixture(scope="module")
def ohif(tmp_path_factory):
    with viewer(tmp_path_factory.mktemp("ohif")) as running:
        yield running


def is_grey(colour):
    return max(colour) - min(colour) < 12


def of_study(study):
    return lambda image, _: setattr(image, "StudyInstanceUID", study)


def two_targets(segmentation_type="binary"):
    targets = [
        {"segment": {"label": label, "category": ANATOMY, "type": LIVER}, "prompts": [label]}
        for label in TARGETS
    ]
    return provenance(task(targets=targets, segmentation_type=segmentation_type))


def send(ohif, folder, sources, segmentation_type="binary"):
    """Put a series and its SEG and PM into the archive; return how the two are described."""
    (series,) = read_folder(folder / "in").series
    stack = build_stack(series)
    findings, made = found_everywhere(stack, list(TARGETS.values())), two_targets(segmentation_type)
    results = volume_segmentation(stack, findings, made), quantity_map(stack, findings, made)
    files = [folder / "seg.dcm", folder / "pm.dcm"]
    for result, file in zip(results, files, strict=True):
        result.save_as(file, enforce_file_format=True)
    ohif.archive.keep([*sources, *files])
    return [result.SeriesDescription for result in results]


def shown_points(planes):
    return functools.reduce(operator.or_, (valued_points(plane.values, plane.affine) for plane in planes))


def lies_on_its_voxels(ohif, study, truth, segmentation, quantity):
    """Look at SEG and PM of a phantom whose values lie at the places of ``truth``."""
    segment_at = {place: 1 + (value in TARGETS["Inner"]) for place, value in truth.items()}
    ohif.open(study)

    segments, planes = ohif.segmentation(segmentation)
    assert [(one.number, one.label) for one in segments] == [(1, "Outer"), (2, "Inner")]
    np.testing.assert_allclose([one.colour for one in segments], COLOURS, atol=2)
    assert shown_points(planes) == segment_at
    for place in list(truth)[:: len(truth) // 4]:
        colour = ohif.look(place)
        assert np.argmax(colour) == (0 if segment_at[place] == 1 else 2), (place, colour)
        assert not is_grey(colour)
    assert is_grey(ohif.look(tuple(CORNER)))

    entropy = ohif.map(quantity)
    values = {place: value / 10 for place, value in truth.items()}  # thousandths; OHIF multiplies by 100
    assert valued_points(entropy.values, entropy.affine) == pytest.approx(values)
    assert not is_grey(ohif.look(next(iter(truth))))
    assert is_grey(ohif.look(tuple(CORNER)))


@pytest.mark.parametrize("name", VOLUMES)
def test_segmentation_and_map_of_a_volume_lie_on_its_voxels(ohif, tmp_path, name):
    modality, segmentation_type, axes, turn = VOLUMES[name]
    study, series = next(UIDS), next(UIDS)
    sources = arranged(tmp_path / "in", axes, turn, modality=modality, series=series, edit=of_study(study))
    shown = send(ohif, tmp_path, sources, segmentation_type)
    lies_on_its_voxels(ohif, study, points(turn), *shown)


def enhanced_ct(folder, study):
    """The phantom as an Enhanced CT whose frames are out of order."""
    stored = (np.ascontiguousarray(body().T) + 10) // 2  # its rescale is 2 and -10
    options = {"series": next(UIDS), "origin": CORNER, "spacing": tuple(SPACING[::-1])}
    return enhanced(folder / "in" / "x.dcm", stored, edit=of_study(study), **options)


def legacy_converted_mr(folder, study):
    """The phantom as an oblique MR, its files in one object."""
    files = arranged(folder / "files", DOWNWARDS, OBLIQUE, modality="MR", edit=of_study(study))
    return legacy_converted(files, folder / "in" / "x.dcm", next(UIDS))


@pytest.mark.parametrize(("make", "turn"), [(enhanced_ct, None), (legacy_converted_mr, OBLIQUE)])
def test_segmentation_and_map_of_the_frames_of_one_file_lie_on_its_voxels(ohif, tmp_path, make, turn):
    study = next(UIDS)
    shown = send(ohif, tmp_path, [make(tmp_path, study)])
    lies_on_its_voxels(ohif, study, points(turn), *shown)


def test_the_segmentation_of_a_matrix_that_fills_no_whole_bytes_lies_on_its_voxels(ohif, tmp_path):
    study = next(UIDS)
    values = body()[:, :7, :9]
    sources = volume(tmp_path / "in", values, series=next(UIDS), edit=of_study(study))
    segmentation, _ = send(ohif, tmp_path, sources)
    ohif.open(study)
    _, planes = ohif.segmentation(segmentation)
    shown = np.stack([plane.values[0] for plane in sorted(planes, key=lambda plane: plane.affine[2, 3])])
    np.testing.assert_array_equal(shown, np.select([values == 600, values > 0], [2, 1]))


def without_spacing(path, series):
    return radiograph(path, series, edit=lambda image, _: delattr(image, "ImagerPixelSpacing"))


def loop(path, series):
    return ultrasound(path, series, frames=4)


def mammogram(path, series):
    return digital_xray(path, series, "MG")


PICTURES = {
    "CR": radiograph,
    "CR without spacing": without_spacing,
    "DX": digital_xray,
    "MG": mammogram,
    "US": ultrasound,
    "US loop": loop,
}


@pytest.mark.parametrize("name", PICTURES)
def test_the_segmentation_of_a_picture_lies_on_its_pixels(ohif, tmp_path, name):
    source = PICTURES[name](tmp_path / "in" / "x.dcm", next(UIDS))
    image = pydicom.dcmread(source)
    image.StudyInstanceUID = next(UIDS)
    image.save_as(source)
    (series,) = read_folder(tmp_path / "in").series
    stack = build_stack(series)
    number = len(stack.planes) // 2
    finding = asymmetric(stack, (number,)).planes[0]
    result = picture_segmentation(stack, finding, provenance())
    result.save_as(tmp_path / "seg.dcm", enforce_file_format=True)
    ohif.archive.keep([source, tmp_path / "seg.dcm"])
    ohif.open(series.study_instance_uid)

    segments, planes = ohif.segmentation(result.SeriesDescription)
    assert [one.label for one in segments] == ["Liver"]
    assert len(planes) == len(stack.planes)
    mask = planes[number].values[0]
    np.testing.assert_array_equal(mask, finding.full_masks(*mask.shape)[0])
    assert sum(np.count_nonzero(plane.values) for plane in planes) == np.count_nonzero(mask)
    inside = planes[number].affine @ [0, *np.argwhere(mask)[0], 1]
    assert np.argmax(ohif.look(tuple(inside[:3]))) == 0
    assert is_grey(ohif.look(tuple(planes[number].affine[:3, 3])))
