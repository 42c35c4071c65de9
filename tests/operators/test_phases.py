"""Several phases under one Series Instance UID: taken apart where that leaves volumes, refused where not."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import EnhancedMRImageStorage

from models.errors import Code, GeometryError, InputError
from operators.gate import find, gate, volumes
from operators.parametric_map import quantity_map
from operators.segmentation import volume_segmentation
from operators.selection import Decision, plan_study
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import asymmetric, provenance, task, values_of
from tests.operators.synthetic import ROOT, enhanced, phantom, save, unchanged, volume

SERIES = f"{ROOT}.2"


def phase(folder, number, values=None, edit=unchanged, **layout):
    """Write one phase of the series: the same positions again, under instance numbers of its own."""

    def of_phase(image, index):
        image.InstanceNumber = 100 * number + index + 1
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{SERIES}.{number}.{index + 1}"
        edit(image, index)

    return volume(folder / f"phase{number}", values, edit=of_phase, **layout)


def valued(**elements):
    def edit(image, _):
        for keyword, value in elements.items():
            setattr(image, keyword, value)

    return edit


def parts(path):
    (series,) = read_folder(path).series
    return volumes(series)


def labels(path):
    return [part.phase.label for part in parts(path)]


def refusal(path):
    with pytest.raises(GeometryError) as caught:
        parts(path)
    return caught.value


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("AcquisitionNumber", (2, 10)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("EchoNumbers", (1, 2)),
        ("EchoTime", (4.6, 102.0)),
        ("DiffusionBValue", (0.0, 1000.0)),
        ("NominalPercentageOfCardiacPhase", (35.0, 75.0)),
        ("TriggerTime", (10.0, 410.0)),
        ("FrameReferenceTime", (150.0, 450.0)),
        ("ConvolutionKernel", ("B30f", "B70f")),
        ("AcquisitionTime", ("101500", "101830")),
    ],
)
def test_each_phase_is_a_volume_of_its_own_in_the_order_of_its_values(tmp_path, keyword, values):
    for number, value in enumerate(reversed(values), start=1):
        phase(tmp_path, number, edit=valued(**{keyword: value}))
    assert labels(tmp_path) == [f"{keyword}={value}" for value in values]
    for part in parts(tmp_path):
        assert part.images == 6
        assert gate(part).grid.spacing == pytest.approx((2.5, 0.8, 1.2))
        assert {str(one.header[keyword].value) for one in part.instances} == {
            part.phase.label.partition("=")[2]
        }


def test_image_types_tell_magnitude_from_phase(tmp_path):
    for number, kind in enumerate("MP", start=1):
        phase(tmp_path, number, edit=valued(ImageType=["ORIGINAL", "PRIMARY", kind]), modality="MR")
    assert labels(tmp_path) == [f"ImageType=ORIGINAL\\PRIMARY\\{kind}" for kind in "MP"]


def test_the_stated_order_decides_when_several_attributes_would_do(tmp_path):
    for number in (1, 2):
        phase(tmp_path, number, edit=valued(TemporalPositionIdentifier=number, AcquisitionNumber=3 - number))
    assert labels(tmp_path) == ["AcquisitionNumber=1", "AcquisitionNumber=2"]


def test_an_attribute_that_leaves_no_volumes_is_passed_over(tmp_path):
    """AcquisitionNumber counts slices here, as it does where every slice is an acquisition."""
    for number in (1, 2):
        edit = valued(TemporalPositionIdentifier=number)
        phase(
            tmp_path,
            number,
            edit=lambda image, index, edit=edit: (
                edit(image, index),
                setattr(image, "AcquisitionNumber", index),
            ),
        )
    assert labels(tmp_path) == ["TemporalPositionIdentifier=1", "TemporalPositionIdentifier=2"]


def test_two_attributes_together_tell_four_phases_apart(tmp_path):
    for number in range(4):
        phase(tmp_path, number, edit=valued(AcquisitionNumber=1 + number // 2, EchoTime=5.0 + number % 2))
    assert labels(tmp_path) == [
        f"AcquisitionNumber={a}, EchoTime={e}" for a in (1, 2) for e in ("5.0", "6.0")
    ]


def test_phases_that_nothing_tells_apart_are_refused_and_the_message_says_what_was_tried(tmp_path):
    for number in (1, 2):
        phase(tmp_path, number)
    error = refusal(tmp_path)
    assert error.code is Code.GEOMETRY_DUPLICATE_POSITION
    assert (
        "slice000.dcm and slice000.dcm (InstanceNumber 101 and 201, at 100.00 and 100.00 mm)" in error.message
    )
    assert "tried: SOPInstanceUID, AcquisitionNumber, TemporalPositionIdentifier, " in error.message


def test_one_incomplete_phase_refuses_the_series(tmp_path):
    for number in (1, 2):
        paths = phase(tmp_path, number, edit=valued(AcquisitionNumber=number))
    paths[3].unlink()
    assert refusal(tmp_path).code is Code.GEOMETRY_DUPLICATE_POSITION


def test_a_missing_slice_is_not_hidden_between_two_acquisitions(tmp_path):
    """Either half is a regular volume, but nothing lies on anything: the series is no series of phases."""
    volume(tmp_path, phantom(9), edit=lambda image, index: setattr(image, "AcquisitionNumber", index > 4))[
        4
    ].unlink()
    assert refusal(tmp_path).code is Code.GEOMETRY_MISSING_SLICE


def test_one_slice_through_time_is_a_plane_at_each_time(tmp_path):
    for number in (1, 2, 3):
        for path in phase(tmp_path, number, edit=valued(TriggerTime=40.0 * number), modality="MR")[1:]:
            path.unlink()
    found = parts(tmp_path)
    assert [part.phase.label for part in found] == [
        "TriggerTime=40.0",
        "TriggerTime=80.0",
        "TriggerTime=120.0",
    ]
    assert [build_stack(part).grid.shape for part in found] == [(1, 40, 48)] * 3


def test_phases_of_different_matrix_are_told_apart_too(tmp_path):
    phase(tmp_path, 1, edit=valued(AcquisitionNumber=1))
    phase(tmp_path, 2, phantom(columns=40), edit=valued(AcquisitionNumber=2))
    assert [build_stack(part).grid.shape for part in parts(tmp_path)] == [(6, 40, 48), (6, 40, 40)]


def timed(path, positions=(1, 2)):
    """An Enhanced MR of two time points whose frames alternate."""
    values = np.stack([phantom(), phantom() + 100], axis=1).reshape(12, 40, 48)
    image = pydicom.dcmread(enhanced(path, values, shuffle=False))
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    image.Modality = "MR"
    for index, frame in enumerate(image.PerFrameFunctionalGroupsSequence):
        content = Dataset()
        content.TemporalPositionIndex = positions[index % 2]
        frame.FrameContentSequence = [content]
        frame.PlanePositionSequence[0].ImagePositionPatient = [-20.0, 30.0, 100.0 + 2.5 * (index // 2)]
    return save(image, path)


def test_the_time_points_of_an_enhanced_image_are_told_apart_frame_by_frame(tmp_path):
    timed(tmp_path / "x.dcm")
    first, second = parts(tmp_path)
    assert first.phase.label == "TemporalPositionIdentifier=1"
    assert first.images == 6
    np.testing.assert_array_equal(values_of(build_stack(first)), 2.0 * phantom() - 10)
    np.testing.assert_array_equal(values_of(build_stack(second)), 2.0 * (phantom() + 100.0) - 10)
    assert [plane.frame for plane in build_stack(second).planes] == [1, 3, 5, 7, 9, 11]


def test_multiframe_objects_of_one_series_are_volumes_each(tmp_path):
    enhanced(tmp_path / "a.dcm")
    image = pydicom.dcmread(enhanced(tmp_path / "b.dcm"))
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.7.2"
    for frame in image.PerFrameFunctionalGroupsSequence:
        frame.PlanePositionSequence[0].ImagePositionPatient[2] += 15.0
    save(image, tmp_path / "b.dcm")
    assert labels(tmp_path) == [f"SOPInstanceUID={ROOT}.7.1", f"SOPInstanceUID={ROOT}.7.2"]


@pytest.mark.parametrize("parts_sent", [(1, 2), (1,)], ids=["whole", "first part"])
def test_an_image_divided_into_several_files_is_refused_and_not_answered_in_parts(tmp_path, parts_sent):
    for number in parts_sent:
        path = enhanced(tmp_path / f"{number}.dcm", phantom(12)[6 * (number - 1) :][:6], shuffle=False)
        image = pydicom.dcmread(path)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.7.{number}"
        image.ConcatenationUID, image.SOPInstanceUIDOfConcatenationSource = f"{ROOT}.70", f"{ROOT}.71"
        image.InConcatenationNumber, image.InConcatenationTotalNumber = number, 2
        image.ConcatenationFrameOffsetNumber = 6 * (number - 1)
        for frame in image.PerFrameFunctionalGroupsSequence:
            frame.PlanePositionSequence[0].ImagePositionPatient[2] += 15.0 * (number - 1)
        save(image, path)
    error = refusal(tmp_path)
    assert error.code is Code.GEOMETRY_CONCATENATION
    assert all(f"{number}.dcm" in error.message for number in parts_sent)
    assert error.message.endswith("Send the image undivided, or one file per slice.")
    assert "Also" not in error.message


def test_a_multiframe_object_that_is_no_volume_refuses_its_series(tmp_path):
    enhanced(tmp_path / "a.dcm")
    image = pydicom.dcmread(enhanced(tmp_path / "b.dcm"))
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.7.2"
    image.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient[2] = 500.0
    save(image, tmp_path / "b.dcm")
    error = refusal(tmp_path)
    assert error.code is Code.GEOMETRY_MIXED_MULTIFRAME
    assert "a.dcm frame 1" in error.message


def two_phases(folder):
    for number in (1, 2):
        phase(folder, number, edit=valued(AcquisitionNumber=number))
    return parts(folder)


def test_each_phase_has_a_result_of_its_own_that_names_its_own_slices(tmp_path):
    results = [
        volume_segmentation(stack, asymmetric(stack), provenance())
        for stack in map(build_stack, two_phases(tmp_path))
    ]
    assert len({result.SOPInstanceUID for result in results}) == 2
    assert len({result.SeriesInstanceUID for result in results}) == 2
    for number, result in enumerate(results, start=1):
        (series,) = result.ReferencedSeriesSequence
        assert series.SeriesInstanceUID == SERIES
        assert {item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence} == {
            f"{SERIES}.{number}.{index}" for index in range(1, 7)
        }


def test_the_results_of_a_phase_are_the_same_when_a_later_phase_arrives(tmp_path):
    phase(tmp_path, 1, edit=valued(AcquisitionNumber=1))
    (alone,) = parts(tmp_path)
    first = two_phases(tmp_path)[0]
    uids = [
        volume_segmentation(stack, asymmetric(stack), provenance()).SOPInstanceUID
        for stack in map(build_stack, (alone, first))
    ]
    assert uids[0] == uids[1]


def test_a_phase_is_found_again_by_its_key(tmp_path):
    first, second = two_phases(tmp_path)
    folder = read_folder(tmp_path)
    assert find(folder, second.key).phase == second.phase
    assert find(folder, SERIES).phase is None
    assert first.key == f"{SERIES}#AcquisitionNumber=1"
    with pytest.raises(InputError, match="NO-SERIES-SELECTED"):
        find(folder, f"{SERIES}#AcquisitionNumber=3")


def test_a_task_takes_every_phase_of_the_series_it_takes(tmp_path):
    two_phases(tmp_path / "phases")
    volume(tmp_path / "other", phantom(5), series=f"{ROOT}.9")
    runs = plan_study(tmp_path, [task()])
    assert [(run.series.key, run.decision) for run in runs] == [
        (f"{SERIES}#AcquisitionNumber=1", Decision.RUN),
        (f"{SERIES}#AcquisitionNumber=2", Decision.RUN),
        (f"{ROOT}.9", Decision.LEFT_OUT),
    ]
    assert "AcquisitionNumber=2 is one of the series' phases" in runs[1].reason


def test_more_phases_than_a_study_may_have_results_are_left_out_and_say_so(tmp_path):
    two_phases(tmp_path)
    runs = plan_study(tmp_path, [task(max_results_per_study=1)])
    assert [run.decision for run in runs] == [Decision.RUN, Decision.LEFT_OUT]
    assert "more than 1 phases" in runs[1].reason


@pytest.mark.parametrize("number", [0, 1])
def test_a_result_of_a_time_point_refers_to_its_own_frames(tmp_path, number):
    part = parts(timed(tmp_path / "x.dcm").parent)[number]
    stack = build_stack(part)
    findings = asymmetric(stack)
    own = {plane.frame + 1: plane.position for plane in stack.planes}
    for result in (
        volume_segmentation(stack, findings, provenance()),
        quantity_map(stack, findings, provenance()),
    ):
        for frame in result.PerFrameFunctionalGroupsSequence:
            source = frame.DerivationImageSequence[0].SourceImageSequence[0]
            position = frame.PlanePositionSequence[0].ImagePositionPatient
            assert own[source.ReferencedFrameNumber][2] == position[2]
