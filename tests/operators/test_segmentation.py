"""The Segmentation lies on the source's own grid and says who, what and how."""

import io
import json

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from operators.segmentation import label_map, picture_segmentation, volume_segmentation
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import ANATOMY, LIVER, asymmetric, mask_volume, points_of, provenance, task
from tests.operators.synthetic import ROOT, enhanced, phantom, radiograph, ultrasound, volume


def stack_of(path):
    (series,) = read_folder(path).series
    return build_stack(series)


def encoded(result):
    buffer = io.BytesIO()
    result.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_back(result):
    return hd.seg.segread(io.BytesIO(encoded(result)))


def two_targets(**changes):
    targets = [
        {"segment": {"label": name, "category": ANATOMY, "type": LIVER}, "prompts": [name]}
        for name in ("One", "Two")
    ]
    return task(targets=targets, **changes)


OBLIQUE = {"row": (0.96, 0.28, 0.0), "column": (-0.28, 0.96, 0.0)}
FLIPPED = {"row": (-1.0, 0.0, 0.0), "column": (0.0, 0.0, -1.0)}


@pytest.mark.parametrize("layout", [{}, OBLIQUE, FLIPPED], ids=["axial", "oblique", "flipped"])
def test_a_volume_mask_covers_the_same_points_in_the_body(tmp_path, layout):
    volume(tmp_path, **layout)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack)
    read = read_back(volume_segmentation(stack, findings, provenance())).get_volume(combine_segments=True)
    written = points_of(read.array > 0, read.affine)
    assert written == points_of(mask_volume(stack, findings), stack.grid.affine)


@pytest.mark.parametrize(("planes", "stored_as"), [((1, 3), "FRACTIONAL"), ((3,), "BINARY")])
def test_several_frames_that_fill_no_whole_bytes_have_a_byte_per_pixel(tmp_path, planes, stored_as):
    volume(tmp_path, phantom()[:, :39, :47])
    stack = stack_of(tmp_path)
    findings = asymmetric(stack, planes)
    result = read_back(volume_segmentation(stack, findings, provenance()))
    assert result.SegmentationType == stored_as
    assert np.array_equal(np.unique(result.pixel_array), [0, 1])
    read = result.get_volume(combine_segments=True)
    assert points_of(read.array > 0, read.affine) == points_of(
        mask_volume(stack, findings), stack.grid.affine
    )


def test_an_enhanced_source_is_referenced_frame_by_frame(tmp_path):
    stack = stack_of(enhanced(tmp_path / "x.dcm"))
    findings = asymmetric(stack)
    result = read_back(volume_segmentation(stack, findings, provenance()))
    read = result.get_volume(combine_segments=True)
    assert points_of(read.array > 0, read.affine) == points_of(
        mask_volume(stack, findings), stack.grid.affine
    )
    for frame in result.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        (plane,) = [one for one in stack.planes if one.frame + 1 == source.ReferencedFrameNumber]
        assert plane.position == tuple(position)


def test_only_slices_with_a_voxel_have_frames_but_every_source_is_referenced(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    result = volume_segmentation(stack, asymmetric(stack), provenance())
    assert result.NumberOfFrames == 2
    assert len(result.ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 6
    assert result.ReferencedSeriesSequence[0].SeriesInstanceUID == f"{ROOT}.2"
    sources = {
        tuple(frame.PlanePositionSequence[0].ImagePositionPatient):
        frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        for frame in result.PerFrameFunctionalGroupsSequence
    }  # fmt: skip
    expected = [stack.planes[index] for index in (1, 3)]
    assert sources == {plane.position: plane.instance.sop_instance_uid for plane in expected}
    shared = result.SharedFunctionalGroupsSequence[0]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.8, 1.2]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert result.FrameOfReferenceUID == f"{ROOT}.3"


def test_several_targets_are_segments_that_may_overlap(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    result = volume_segmentation(stack, asymmetric(stack, targets=2), provenance(two_targets()))
    assert [segment.SegmentLabel for segment in result.SegmentSequence] == ["One", "Two"]
    assert result.SegmentsOverlap == "YES"
    parameters = _parameters(result)
    assert "may belong to several segments" in parameters["overlap"]


LABEL_MAP = {"segmentation_type": "labelmap"}


@pytest.mark.parametrize(
    "make", [volume, lambda folder: enhanced(folder / "x.dcm")], ids=["CT", "Enhanced CT"]
)
def test_a_label_map_holds_the_same_voxels_compressed_without_a_background(tmp_path, make):
    make(tmp_path)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack, targets=2)
    result = read_back(volume_segmentation(stack, findings, provenance(two_targets(**LABEL_MAP))))
    assert result.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.7"
    assert result.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5"
    assert [(item.SegmentNumber, item.SegmentLabel) for item in result.SegmentSequence] == [
        (1, "One"), (2, "Two"),
    ]  # fmt: skip
    read = result.get_volume(combine_segments=True)
    first = mask_volume(stack, findings)
    either = np.zeros(stack.grid.shape, dtype=np.bool_)
    for finding in findings.planes:
        either[finding.plane] = finding.full_masks(*stack.grid.shape[1:]).any(axis=0)
    assert points_of(read.array == 1, read.affine) == points_of(first, stack.grid.affine)
    assert points_of(read.array == 2, read.affine) == points_of(either & ~first, stack.grid.affine)
    assert result.SegmentsOverlap == "NO"
    assert "belongs to the first" in _parameters(result)["overlap"]


def test_a_label_map_of_a_picture_has_the_plane_that_viewers_need(tmp_path):
    stack = stack_of(radiograph(tmp_path / "x.dcm"))
    finding = asymmetric(stack, (0,)).planes[0]
    result = read_back(picture_segmentation(stack, finding, provenance(task(**LABEL_MAP))))
    assert result.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing == [0.2, 0.2]
    shape = stack.planes[0].instance.rows, stack.planes[0].instance.columns
    np.testing.assert_array_equal(np.squeeze(result.pixel_array), finding.full_masks(*shape)[0])


def test_a_label_map_is_another_object_than_the_bits(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack)
    one, other = (
        volume_segmentation(stack, findings, provenance(task(segmentation_type=kind)))
        for kind in ("binary", "labelmap")
    )
    assert one.SOPInstanceUID != other.SOPInstanceUID


@given(masks=arrays(np.bool_, (3, 4, 5)))
def test_the_first_target_that_claims_a_pixel_gets_it(masks):
    labels = label_map(masks)
    for number in range(3):
        np.testing.assert_array_equal(labels == number + 1, masks[number] & ~masks[:number].any(axis=0))


def test_segments_that_do_not_touch_do_not_overlap(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack, targets=2)
    for plane in findings.planes:
        masks = plane.full_masks(*stack.grid.shape[1:])
        other = plane.targets[1]
        other.mask[:] &= ~masks[0][other.patch.place]
    assert volume_segmentation(stack, findings, provenance(two_targets())).SegmentsOverlap == "NO"


def test_two_runs_give_the_same_bytes(tmp_path):
    volume(tmp_path)
    first, second = (
        encoded(volume_segmentation(stack, asymmetric(stack), provenance()))
        for stack in (stack_of(tmp_path), stack_of(tmp_path))
    )
    assert first == second


IDENTITY = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID",
    "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "SpecificCharacterSet",
)  # fmt: skip


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        ("ISO_IR 100", "Müller^Jörg"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    ],
)
def test_identity_and_character_set_are_those_of_the_series_used(tmp_path, charset, name):
    def edit(image, _):
        image.SpecificCharacterSet = charset
        image.PatientName, image.IssuerOfPatientID = name, "HOSPITAL"

    path = radiograph(tmp_path / "x.dcm", edit=edit)
    stack = stack_of(path)
    result = picture_segmentation(stack, asymmetric(stack, (0,)).planes[0], provenance())
    written, source = pydicom.dcmread(io.BytesIO(encoded(result))), pydicom.dcmread(path)
    for keyword in IDENTITY:
        assert written[keyword].value == source[keyword].value, keyword
    assert str(written.PatientName) == name


@pytest.mark.parametrize("keyword", [keyword for keyword in IDENTITY if keyword != "StudyInstanceUID"])
def test_an_absent_tag_stays_empty_and_is_recorded(tmp_path, keyword):
    path = radiograph(tmp_path / "x.dcm", edit=lambda image, _: keyword in image and delattr(image, keyword))
    stack = stack_of(path)
    result = picture_segmentation(stack, asymmetric(stack, (0,)).planes[0], provenance())
    assert not result.get(keyword)
    if keyword not in {"IssuerOfPatientID", "SpecificCharacterSet"}:
        assert keyword in result.ContributingEquipmentSequence[0].ContributionDescription


def test_invalid_values_of_the_source_are_copied_and_do_not_stop_the_writer(tmp_path):
    def edit(image, _):
        with pydicom.config.disable_value_validation():
            image.PatientSex, image.StudyID = "X", "longer than sixteen characters"
            image.PatientBirthDate, image.PatientID = "1970.01.02", "P" * 70

    with pydicom.config.disable_value_validation():
        path = radiograph(tmp_path / "x.dcm", edit=edit)
    stack = stack_of(path)
    result = picture_segmentation(stack, asymmetric(stack, (0,)).planes[0], provenance())
    assert (result.PatientSex, result.StudyID, result.PatientID) == (
        "X", "longer than sixteen characters", "P" * 70,
    )  # fmt: skip


@pytest.mark.parametrize("make", [radiograph, ultrasound], ids=["CR", "US"])
def test_a_picture_gets_the_plane_that_viewers_need(tmp_path, make):
    stack = stack_of(make(tmp_path / "x.dcm"))
    result = read_back(picture_segmentation(stack, asymmetric(stack, (0,)).planes[0], provenance()))
    shared = result.SharedFunctionalGroupsSequence[0]
    spacing = [0.2, 0.2] if make is radiograph else [1, 1]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == spacing
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    positions = [
        frame.PlanePositionSequence[0].ImagePositionPatient
        for frame in result.PerFrameFunctionalGroupsSequence
    ]
    assert positions == [[0, 0, 0]]
    assert "FrameOfReferenceUID" not in result
    finding = asymmetric(stack, (0,)).planes[0]
    rows, columns = stack.planes[0].instance.rows, stack.planes[0].instance.columns
    np.testing.assert_array_equal(np.squeeze(result.pixel_array), finding.full_masks(rows, columns)[0])


def test_a_frame_of_a_loop_is_referenced_by_its_number_and_class(tmp_path):
    stack = stack_of(ultrasound(tmp_path / "x.dcm", frames=4))
    result = picture_segmentation(stack, asymmetric(stack, (2,)).planes[0], provenance())
    source = result.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedFrameNumber == 3
    assert source.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1"
    instance = result.ReferencedSeriesSequence[0].ReferencedInstanceSequence[0]
    assert instance.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.3.1"


def test_the_object_says_how_it_was_made(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    result = volume_segmentation(stack, asymmetric(stack), provenance())
    segment = result.SegmentSequence[0]
    assert (segment.SegmentLabel, segment.SegmentDescription) == ("Liver", "bright | the liver")
    assert segment.SegmentAlgorithmType == "AUTOMATIC"
    parameters = _parameters(result)
    assert parameters["bundle_digest"] == "ab" * 32
    assert parameters["prompts"] == [["bright", "the liver"]]
    assert (parameters["members"], parameters["seed"], parameters["mode"]) == (4, 0, "recommended")
    assert parameters["window"].startswith("CT soft-tissue")
    family = segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmFamilyCodeSequence[0]
    assert (family.CodeValue, family.CodingSchemeDesignator) == ("123110", "DCM")
    equipment = result.ContributingEquipmentSequence
    assert [item.ManufacturerModelName for item in equipment] == ["toy", "ToyEncoder"]
    assert {item.PurposeOfReferenceCodeSequence[0].CodeValue for item in equipment} == {"109102"}
    assert result.ContentQualification == "RESEARCH"
    assert result.SeriesDescription == "AI liver SEG - NOT FOR DIAGNOSTIC USE"
    assert segment.TrackingID == "liver/Liver"
    assert result.SOPInstanceUID != result.SeriesInstanceUID != f"{ROOT}.2"


def test_no_date_or_time_comes_from_the_clock(tmp_path):
    def edit(image, _):
        image.TimezoneOffsetFromUTC = "+0200"

    volume(tmp_path, edit=edit)
    stack = stack_of(tmp_path)
    result = volume_segmentation(stack, asymmetric(stack), provenance())
    for kind in ("InstanceCreation", "Content", "Series"):
        assert (result[f"{kind}Date"].value, result[f"{kind}Time"].value) == ("20260301", "133005")
    for item in result.ContributingEquipmentSequence:
        assert str(item.ContributionDateTime).startswith("20260301133005")


def test_a_private_code_is_declared_and_a_public_one_is_not(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    assert "CodingSchemeIdentificationSequence" not in volume_segmentation(
        stack, asymmetric(stack), provenance()
    )
    private = {"value": "P1", "scheme": "99TEXTSEG", "meaning": "whatever"}
    asked = task(
        targets=[{"segment": {"label": "W", "category": ANATOMY, "type": private}, "prompts": ["whatever"]}]
    )
    result = volume_segmentation(stack, asymmetric(stack), provenance(asked))
    assert result.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99TEXTSEG"


def test_a_prompt_that_the_character_set_cannot_hold_is_escaped(tmp_path):
    path = radiograph(
        tmp_path / "x.dcm", edit=lambda image, _: setattr(image, "SpecificCharacterSet", "ISO_IR 100")
    )
    stack = stack_of(path)
    asked = task(
        targets=[{"segment": {"label": "肝", "category": ANATOMY, "type": LIVER}, "prompts": ["肝臓 für"]}]
    )
    result = picture_segmentation(stack, asymmetric(stack, (0,)).planes[0], provenance(asked))
    written = pydicom.dcmread(io.BytesIO(encoded(result)))
    assert written.SegmentSequence[0].SegmentDescription == "&#32925;&#33235; f&#252;r"


def test_a_result_with_much_disagreement_asks_for_review(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    findings = asymmetric(stack)
    for target in (target for plane in findings.planes for target in plane.targets):
        target.entropy[target.mask] = 0.9
    result = volume_segmentation(stack, findings, provenance())
    assert result.SeriesDescription == "AI liver [REVIEW] SEG - NOT FOR DIAGNOSTIC USE"


def _parameters(result):
    return json.loads(
        result.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0].AlgorithmParameters
    )
