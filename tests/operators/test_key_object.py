"""The key images are those of the rule, and the note refers to them and says why."""

import io

import highdicom as hd
import numpy as np
import pydicom

from operators.findings import crop_finding
from operators.key_object import KeyImage, key_images, key_object_selection
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import ANATOMY, LIVER, asymmetric, provenance, task
from tests.operators.synthetic import enhanced, ultrasound, volume


def stack_of(path):
    (series,) = read_folder(path).series
    return build_stack(series)


def finding(plane, areas, entropy):
    """A plane on which target ``n`` covers ``areas[n]`` pixels of a row."""
    masks = np.zeros((len(areas), 1, 20), dtype=np.bool_)
    for target, area in enumerate(areas):
        masks[target, 0, :area] = True
    return crop_finding(plane, "w", masks, np.full(masks.shape, entropy, dtype=np.float32))


def test_the_rule_takes_the_largest_of_every_target_and_the_most_uncertain():
    planes = [finding(2, (5, 1), 0.2), finding(3, (4, 3), 0.3), finding(4, (1, 2), 0.9)]
    assert key_images(planes) == (
        KeyImage(2, (0,), False),
        KeyImage(3, (1,), False),
        KeyImage(4, (), True),
    )


def test_an_image_that_is_both_is_selected_once_and_the_first_of_equals_wins():
    planes = [finding(1, (5, 5), 0.5), finding(2, (5, 5), 0.5)]
    assert key_images(planes) == (KeyImage(1, (0, 1), True),)


def test_a_target_without_a_pixel_selects_nothing():
    planes = [finding(1, (5, 0), 0.5), finding(2, (4, 0), 0.6)]
    assert [image.largest for image in key_images(planes)] == [(0,), ()]


def read_back(result):
    buffer = io.BytesIO()
    result.save_as(buffer, enforce_file_format=True)
    read = pydicom.dcmread(io.BytesIO(buffer.getvalue()))
    return read, hd.ko.KeyObjectSelectionDocument.from_dataset(read)


def references(read):
    return [item.ReferencedSOPSequence[0] for item in read.ContentSequence if "ReferencedSOPSequence" in item]


def test_the_note_refers_to_slices_and_says_why(tmp_path):
    volume(tmp_path)
    stack = stack_of(tmp_path)
    result = key_object_selection(stack, asymmetric(stack).found, provenance())
    read, document = read_back(result)
    assert read.ConceptNameCodeSequence[0].CodeValue == "113000"
    (reference,) = references(read)
    assert reference.ReferencedSOPInstanceUID == stack.planes[3].instance.sop_instance_uid
    assert document.resolve_reference(reference.ReferencedSOPInstanceUID)[0] == read.StudyInstanceUID
    texts = [item.TextValue for item in read.ContentSequence if "TextValue" in item]
    warning = "NOT FOR DIAGNOSTIC USE."
    assert f"{warning} Image 1: largest area of Liver, highest mean uncertainty." in texts
    assert read.SeriesDescription == "AI liver KO - NOT FOR DIAGNOSTIC USE"
    assert read.PatientID == "PAT-7"
    equipment = read.ContributingEquipmentSequence
    assert [item.ManufacturerModelName for item in equipment] == ["toy", "ToyEncoder"]


def test_frames_are_named_of_a_loop_and_of_an_enhanced_volume(tmp_path):
    for make, number in ((lambda path: ultrasound(path, frames=5), 4), (enhanced, 6)):
        stack = stack_of(make(tmp_path / f"{number}.dcm"))
        read, _ = read_back(key_object_selection(stack, asymmetric(stack).found, provenance()))
        (reference,) = references(read)
        assert reference.ReferencedFrameNumber == stack.planes[3].frame + 1 == number


def test_two_runs_give_the_same_note(tmp_path):
    volume(tmp_path)
    asked = task(
        targets=[
            {"segment": {"label": name, "category": ANATOMY, "type": LIVER}, "prompts": [name]}
            for name in ("One", "Two")
        ]
    )
    stack = stack_of(tmp_path)
    one, other = (
        key_object_selection(stack, asymmetric(stack, targets=2).found, provenance(asked)) for _ in range(2)
    )
    assert one == other
