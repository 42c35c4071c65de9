"""The report says how large and how unsure a finding is, refers to SEG and map, or says "nothing found"."""

import io

import pydicom
import pytest
from highdicom.sr import srread
from pydicom.sr.codedict import codes

from models.errors import Code
from operators.findings import Findings
from operators.measurement_groups import COMMENT, NOTHING_FOUND, PIXEL_COUNT, PROMPT, RESULT
from operators.measurement_report import measurement_report
from operators.parametric_map import quantity_map
from operators.quantity import ENTROPY
from operators.segmentation import picture_segmentation, volume_segmentation
from operators.stack import VolumeStack, build_stack
from operators.study import read_folder
from operators.written import Written
from tests.operators.results import ANATOMY, LIVER, asymmetric, provenance, task
from tests.operators.synthetic import ROOT, enhanced, radiograph, ultrasound, volume

ABSENT = Findings((), ((Code.TARGET_ABSENT, 6),))


def stack_of(path):
    (series,) = read_folder(path).series
    return build_stack(series)


def two_targets(**changes):
    targets = [
        {"segment": {"label": name, "category": ANATOMY, "type": LIVER}, "prompts": [name]}
        for name in ("One", "Two")
    ]
    return task(targets=targets, **changes)


def results_of(stack, findings, made):
    """SEG (and PM) of the findings, and how to refer to them."""
    if isinstance(stack, VolumeStack):
        objects = [volume_segmentation(stack, findings, made), quantity_map(stack, findings, made)]
        return objects, [Written.of(one, kind) for one, kind in zip(objects, ("SEG", "PM"), strict=True)]
    objects = [picture_segmentation(stack, finding, made) for finding in findings.found]
    planes = [finding.plane for finding in findings.found]
    return objects, [Written.of(one, "SEG", plane) for one, plane in zip(objects, planes, strict=True)]


def encoded(report):
    buffer = io.BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def read_back(report):
    return srread(io.BytesIO(encoded(report)))


def texts(group, name):
    return [item.TextValue for item in group[0].ContentSequence if item.name == name]


def test_a_volume_is_reported_with_its_segment_and_map(tmp_path):
    volume(tmp_path)
    stack, made = stack_of(tmp_path), provenance()
    findings = asymmetric(stack)
    (seg, pm), written = results_of(stack, findings, made)
    report = read_back(measurement_report(stack, findings, made, written))
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    segment = seg.SegmentSequence[0]
    assert group.tracking_uid == segment.TrackingUID
    assert group.tracking_identifier == segment.TrackingID
    assert group.referenced_segment.referenced_sop_instance_uid == seg.SOPInstanceUID
    assert group.finding_type == codes.SCT.Liver
    values = {item.name.meaning: (item.value, item.unit.value) for item in group.get_measurements()}
    pixels = sum(plane.pixels for plane in findings.planes)
    assert values["Volume"] == (pytest.approx(pixels * 0.0024, abs=1e-3), "cm3")
    assert values["Long axis"][1] == "mm"
    (uncertainty,) = group.get_measurements(ENTROPY.concept)
    assert uncertainty.derivation == codes.SCT.Mean
    assert uncertainty.referenced_images[0].referenced_sop_instance_uid == pm.SOPInstanceUID
    assert texts(group, PROMPT) == ["bright | the liver"]
    assert texts(group, codes.DCM.AlgorithmName) == ["medclip-sam-v2 (recommended)"]
    assert '"bundle_digest": "abab' in texts(group, codes.DCM.AlgorithmParameters)[0]


def test_sources_and_results_are_its_evidence(tmp_path):
    volume(tmp_path)
    stack, made = stack_of(tmp_path), provenance()
    findings = asymmetric(stack)
    objects, written = results_of(stack, findings, made)
    read = read_back(measurement_report(stack, findings, made, written))
    (study,) = read.CurrentRequestedProcedureEvidenceSequence
    named = {
        series.SeriesInstanceUID: [item.ReferencedSOPInstanceUID for item in series.ReferencedSOPSequence]
        for series in study.ReferencedSeriesSequence
    }
    assert len(named.pop(f"{ROOT}.2")) == 6
    assert named == {one.SeriesInstanceUID: [one.SOPInstanceUID] for one in objects}


def test_an_enhanced_volume_is_one_instance_of_evidence(tmp_path):
    stack, made = stack_of(enhanced(tmp_path / "x.dcm")), provenance()
    findings = asymmetric(stack)
    _, written = results_of(stack, findings, made)
    read = read_back(measurement_report(stack, findings, made, written))
    (study,) = read.CurrentRequestedProcedureEvidenceSequence
    assert [len(series.ReferencedSOPSequence) for series in study.ReferencedSeriesSequence] == [1, 1, 1]


def test_each_picture_with_a_segmentation_has_a_group_with_its_area(tmp_path):
    for number in (1, 2, 3):
        radiograph(tmp_path / f"{number}.dcm", number=number)
    stack, made = stack_of(tmp_path), provenance()
    findings = asymmetric(stack, (0, 1, 2))
    objects, written = results_of(stack, findings, made)
    report = read_back(measurement_report(stack, findings, made, written[:2]))
    groups = report.content.get_planar_roi_measurement_groups()
    referenced = [group.referenced_segmentation_frame.referenced_sop_instance_uid for group in groups]
    assert referenced == [one.SOPInstanceUID for one in objects[:2]]
    for group, finding in zip(groups, findings.planes, strict=False):
        (area,) = group.get_measurements(codes.SCT.Area)
        assert area.value == pytest.approx(finding.pixels * 0.04, abs=0.01)


def test_pictures_without_spacing_are_counted_in_pixels(tmp_path):
    stack, made = stack_of(ultrasound(tmp_path / "x.dcm", frames=3)), provenance()
    findings = asymmetric(stack, (1,))
    _, written = results_of(stack, findings, made)
    report = read_back(measurement_report(stack, findings, made, written))
    (group,) = report.content.get_planar_roi_measurement_groups()
    (count,) = group.get_measurements(PIXEL_COUNT)
    assert (count.value, count.unit.value) == (findings.planes[0].pixels, "{pixels}")
    source = next(
        item for item in group[0].ContentSequence if item.name == codes.DCM.SourceImageForSegmentation
    )
    assert source.referenced_frame_numbers == [2]


@pytest.mark.parametrize(
    ("segmentation_type", "names"),
    [("binary", [("frame", 1), ("frame", 2)]), ("labelmap", [("segment", 1), ("segment", 2)])],
)
def test_a_segment_of_a_picture_is_named_by_frame_or_number_and_never_by_both(
    tmp_path, segmentation_type, names
):
    stack = stack_of(radiograph(tmp_path / "x.dcm"))
    made = provenance(two_targets(segmentation_type=segmentation_type))
    findings = asymmetric(stack, (0,), targets=2)
    _, written = results_of(stack, findings, made)
    read = pydicom.dcmread(io.BytesIO(encoded(measurement_report(stack, findings, made, written))))
    found = []
    for group in _groups(read):
        (segment,) = [
            item.ReferencedSOPSequence[0]
            for item in group.ContentSequence
            if item.ConceptNameCodeSequence[0].CodeMeaning == "Referenced Segmentation Frame"
        ]
        both = {
            "frame": segment.get("ReferencedFrameNumber"),
            "segment": segment.get("ReferencedSegmentNumber"),
        }
        found += [(name, value) for name, value in both.items() if value is not None]
    assert found == names


def _groups(read):
    (measurements,) = [
        item
        for item in read.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    ]
    return measurements.ContentSequence


@pytest.mark.parametrize("make", [volume, lambda folder: radiograph(folder / "x.dcm")], ids=["CT", "CR"])
def test_nothing_found_is_said_of_every_target_with_prompt_reason_and_series(tmp_path, make):
    make(tmp_path)
    stack = stack_of(tmp_path)
    report = read_back(measurement_report(stack, ABSENT, provenance(two_targets())))
    groups = report.content.get_image_measurement_groups()
    assert [texts(group, PROMPT) for group in groups] == [["One"], ["Two"]]
    for group in groups:
        assert [item.value for item in group.get_qualitative_evaluations(RESULT)] == [NOTHING_FOUND]
        assert texts(group, COMMENT) == ["TARGET-ABSENT: No image shows what the prompt names."]
        assert texts(group, codes.DCM.AlgorithmVersion) == ["0.1.0"]
    assert report.content.get_volumetric_roi_measurement_groups() == []
    remarks = " ".join(item.TextValue for item in report.ContentSequence[-1].ContentSequence)
    assert stack.series.series_instance_uid in remarks
    assert "NOT FOR DIAGNOSTIC USE" in remarks
    assert report.SeriesDescription == "AI liver SR - NOT FOR DIAGNOSTIC USE"


def test_of_two_targets_the_absent_one_is_said_to_be_absent(tmp_path):
    volume(tmp_path)
    stack, made = stack_of(tmp_path), provenance(two_targets())
    findings = asymmetric(stack, targets=2)
    for plane in findings.planes:
        plane.targets[1].mask[:] = False
    _, written = results_of(stack, findings, made)
    report = read_back(measurement_report(stack, findings, made, written))
    (found,) = report.content.get_volumetric_roi_measurement_groups()
    (absent,) = report.content.get_image_measurement_groups()
    assert (found.tracking_identifier, absent.tracking_identifier) == ("liver/One", "liver/Two")
    assert texts(absent, COMMENT) == []


def test_a_target_that_only_pictures_beyond_the_limit_show_is_not_called_absent(tmp_path):
    for number in (1, 2):
        radiograph(tmp_path / f"{number}.dcm", number=number)
    stack, made = stack_of(tmp_path), provenance(two_targets())
    findings = asymmetric(stack, (0, 1), targets=2)
    findings.planes[0].targets[1].mask[:] = False
    _, written = results_of(stack, findings, made)
    report = read_back(measurement_report(stack, findings, made, written[:1]))
    (group,) = report.content.get_planar_roi_measurement_groups()
    assert group.tracking_identifier == "liver/One"
    assert report.content.get_image_measurement_groups() == []


def test_a_finding_without_a_segmentation_cannot_be_reported(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    with pytest.raises(ValueError, match="at least one"):
        measurement_report(stack, asymmetric(stack), provenance())


def test_it_is_complete_unverified_and_of_the_patient(tmp_path):
    volume(tmp_path)
    read = read_back(measurement_report(stack_of(tmp_path), ABSENT, provenance()))
    assert (read.CompletionFlag, read.VerificationFlag, read.Modality) == ("COMPLETE", "UNVERIFIED", "SR")
    assert (str(read.PatientName), read.PatientID, read.AccessionNumber) == ("Müller^Jörg", "PAT-7", "ACC-9")
    equipment = read.ContributingEquipmentSequence
    assert [item.ManufacturerModelName for item in equipment] == ["toy", "ToyEncoder"]
    assert read.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99TEXTSEG"
    (observer,) = read.content.get_observer_contexts()
    assert observer.observer_identifying_attributes.name == "textseg"


def test_two_runs_give_the_same_bytes_and_other_results_another_report(tmp_path):
    volume(tmp_path)
    stack, made = stack_of(tmp_path), provenance()
    findings = asymmetric(stack)
    _, written = results_of(stack, findings, made)
    one, other = (encoded(measurement_report(stack, findings, made, written)) for _ in range(2))
    assert one == other
    without_map = measurement_report(stack, findings, made, written[:1])
    assert without_map.SOPInstanceUID != pydicom.dcmread(io.BytesIO(one)).SOPInstanceUID


def test_a_prompt_that_the_character_set_cannot_hold_is_escaped(tmp_path):
    path = radiograph(
        tmp_path / "x.dcm", edit=lambda image, _: setattr(image, "SpecificCharacterSet", "ISO_IR 100")
    )
    free = {"value": "P1", "scheme": "99TEXTSEG", "meaning": "肝"}
    segment = {"label": "肝", "category": ANATOMY, "type": free}
    asked = task(targets=[{"segment": segment, "prompts": ["肝臓 für"]}])
    report = read_back(measurement_report(stack_of(path), ABSENT, provenance(asked)))
    (group,) = report.content.get_image_measurement_groups()
    assert texts(group, PROMPT) == ["&#32925;&#33235; f&#252;r"]
    assert group.finding_type.meaning == "&#32925;"


def test_a_result_with_much_disagreement_asks_for_review(tmp_path):
    volume(tmp_path)
    stack, made = stack_of(tmp_path), provenance()
    findings = asymmetric(stack)
    for target in (target for plane in findings.planes for target in plane.targets):
        target.entropy[target.mask] = 0.9
    _, written = results_of(stack, findings, made)
    report = measurement_report(stack, findings, made, written)
    assert report.SeriesDescription == "AI liver [REVIEW] SR - NOT FOR DIAGNOSTIC USE"
