"""The Parametric Map holds the entropy in float32, ascending, at the right places, and says its limits."""

import io

import highdicom as hd
import numpy as np
import pydicom
import pytest

from models.uncertainty import ENTROPY_FLOOR_BITS
from operators.findings import Patch, PlaneMap, crop_finding
from operators.parametric_map import parametric_map, quantity_map
from operators.quantity import ENTROPY, MUTUAL_INFORMATION, PROBABILITY, SALIENCY
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.results import asymmetric, provenance
from tests.operators.synthetic import enhanced, volume

OBLIQUE = {"row": (0.96, 0.28, 0.0), "column": (-0.28, 0.96, 0.0)}
FLIPPED = {"row": (-1.0, 0.0, 0.0), "column": (0.0, 1.0, 0.0)}


def made(path, **changes):
    (series,) = read_folder(path).series
    stack = build_stack(series)
    findings = asymmetric(stack)
    buffer = io.BytesIO()
    quantity_map(stack, findings, provenance(**changes)).save_as(buffer, enforce_file_format=True)
    return stack, findings, buffer.getvalue()


def entropy_points(stack, findings):
    whole = np.zeros(stack.grid.shape, dtype=np.float32)
    for finding in findings.planes:
        whole[finding.plane] = finding.full_entropy(*stack.grid.shape[1:])
    return valued_points(whole, stack.grid.affine)


def valued_points(values, affine):
    index = np.argwhere(values > 0)
    places = np.round(index @ affine[:3, :3].T + affine[:3, 3], 2) + 0.0
    return {tuple(place): values[tuple(at)] for at, place in zip(index, places.tolist(), strict=True)}


@pytest.mark.parametrize("layout", [{}, OBLIQUE, FLIPPED], ids=["axial", "oblique", "flipped"])
def test_every_value_lies_at_its_point_in_the_body(tmp_path, layout):
    volume(tmp_path, **layout)
    stack, findings, content = made(tmp_path)
    read = hd.imread(io.BytesIO(content)).get_volume()
    assert valued_points(read.array, read.affine) == pytest.approx(entropy_points(stack, findings))


@pytest.mark.parametrize("layout", [{}, OBLIQUE, FLIPPED], ids=["axial", "oblique", "flipped"])
def test_frames_are_stored_ascending_along_the_slice_normal(tmp_path, layout):
    volume(tmp_path, **layout)
    stack, findings, content = made(tmp_path)
    read = pydicom.dcmread(io.BytesIO(content))
    frames = read.PerFrameFunctionalGroupsSequence
    cosines = np.asarray(stack.planes[0].orientation)
    normal = np.cross(cosines[:3], cosines[3:])
    along = [
        np.asarray(frame.PlanePositionSequence[0].ImagePositionPatient, float) @ normal for frame in frames
    ]
    assert np.all(np.diff(along) > 0)
    assert [frame.FrameContentSequence[0].DimensionIndexValues for frame in frames] == [1, 2, 3, 4, 5, 6]
    first = findings.planes[0]
    assert read.pixel_array.dtype == np.float32
    assert read.pixel_array[1].max() == first.targets[0].entropy.max()
    assert read.pixel_array[2].max() == 0


def test_the_map_covers_all_of_the_source_because_the_viewer_fills_the_source_volume_with_it(tmp_path):
    volume(tmp_path)
    stack, findings, content = made(tmp_path)
    read = pydicom.dcmread(io.BytesIO(content))
    assert (read.NumberOfFrames, read.Rows, read.Columns) == stack.grid.shape
    whole = np.zeros(stack.grid.shape, dtype=np.float32)
    for finding in findings.planes:
        whole[finding.plane] = finding.full_entropy(*stack.grid.shape[1:])
    np.testing.assert_array_equal(read.pixel_array, whole)
    for frame, plane in zip(read.PerFrameFunctionalGroupsSequence, stack.planes, strict=True):
        assert tuple(frame.PlanePositionSequence[0].ImagePositionPatient) == plane.position
    description = read.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence[0].DerivationDescription
    assert f"below {ENTROPY_FLOOR_BITS} are 0" in description


def test_each_frame_names_the_slice_it_was_made_of(tmp_path):
    volume(tmp_path)
    stack, _, content = made(tmp_path)
    frames = pydicom.dcmread(io.BytesIO(content)).PerFrameFunctionalGroupsSequence
    for frame, plane in zip(frames, stack.planes, strict=True):
        source = frame.DerivationImageSequence[0].SourceImageSequence[0]
        assert source.ReferencedSOPInstanceUID == plane.instance.sop_instance_uid
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


def test_a_map_of_an_enhanced_source_names_its_frames(tmp_path):
    stack, findings, content = made(enhanced(tmp_path / "x.dcm"))
    read = hd.imread(io.BytesIO(content))
    grid = read.get_volume()
    assert valued_points(grid.array, grid.affine) == pytest.approx(entropy_points(stack, findings))
    frame = read.PerFrameFunctionalGroupsSequence[0]
    source = frame.DerivationImageSequence[0].SourceImageSequence[0]
    assert source.ReferencedFrameNumber == stack.planes[0].frame + 1


def test_the_quantity_is_declared_as_a_private_code_in_bits(tmp_path):
    volume(tmp_path)
    read = pydicom.dcmread(io.BytesIO(made(tmp_path)[2]))
    mapping = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert quantity.CodingSchemeDesignator == "99TEXTSEG"
    assert "bits" in quantity.CodeMeaning
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert read.CodingSchemeIdentificationSequence[0].CodingSchemeDesignator == "99TEXTSEG"
    assert read.SharedFunctionalGroupsSequence[0].FrameAnatomySequence
    assert read.SeriesDescription == "AI liver PM - NOT FOR DIAGNOSTIC USE"
    assert read.ContentQualification == "RESEARCH"


@pytest.mark.parametrize(
    ("quantity", "scheme", "value"),
    [
        (ENTROPY, "99TEXTSEG", "ENTROPY"),
        (MUTUAL_INFORMATION, "99TEXTSEG", "MUTUAL-INFO"),
        (PROBABILITY, "DCM", "110854"),
        (SALIENCY, "DCM", "130404"),
    ],
    ids=lambda quantity: getattr(quantity, "label", None),
)
def test_every_quantity_is_coded_labelled_and_declared(tmp_path, quantity, scheme, value):
    volume(tmp_path)
    (series,) = read_folder(tmp_path).series
    stack = build_stack(series)
    maps = [PlaneMap(plane, (Patch(3, 5, np.full((4, 6), 0.5, dtype=np.float32)),)) for plane in (1, 2)]
    buffer = io.BytesIO()
    parametric_map(stack, quantity, maps, provenance()).save_as(buffer, enforce_file_format=True)
    read = hd.imread(io.BytesIO(buffer.getvalue()))
    mapping = read.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    concept = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (concept.CodingSchemeDesignator, concept.CodeValue) == (scheme, value)
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    assert mapping.LUTLabel == read.ContentLabel == quantity.label
    assert ("CodingSchemeIdentificationSequence" in read) == (scheme == "99TEXTSEG")
    grid = read.get_volume()
    expected = np.zeros(stack.grid.shape, dtype=np.float32)
    expected[1:3, 3:7, 5:11] = 0.5
    assert valued_points(grid.array, grid.affine) == valued_points(expected, stack.grid.affine)


def test_maps_of_two_quantities_are_two_objects_in_two_series(tmp_path):
    volume(tmp_path)
    (series,) = read_folder(tmp_path).series
    stack = build_stack(series)
    maps = [PlaneMap(1, (Patch(3, 5, np.full((4, 6), 0.5, dtype=np.float32)),))]
    made = [parametric_map(stack, quantity, maps, provenance()) for quantity in (ENTROPY, SALIENCY)]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
        assert made[0][keyword].value != made[1][keyword].value


def test_two_runs_give_the_same_bytes_and_a_new_generation_a_new_uid(tmp_path):
    volume(tmp_path)
    first, second = made(tmp_path)[2], made(tmp_path)[2]
    assert first == second
    later = pydicom.dcmread(io.BytesIO(made(tmp_path, generation=1, replaces="10:15")[2]))
    assert later.SOPInstanceUID != pydicom.dcmread(io.BytesIO(first)).SOPInstanceUID
    assert later.SeriesDescription.endswith("(replaces 10:15)")


def test_cropping_keeps_masks_and_doubt_and_drops_the_rest():
    masks = np.zeros((1, 20, 30), dtype=np.bool_)
    masks[0, 4:6, 7:9] = True
    entropy = np.full((1, 20, 30), ENTROPY_FLOOR_BITS / 2, dtype=np.float32)
    entropy[0, 10, 3] = 0.5
    finding = crop_finding(2, "w", masks, entropy)
    assert finding.entropy_map.box == (slice(4, 11), slice(3, 9))
    np.testing.assert_array_equal(finding.full_masks(20, 30), masks)
    whole = finding.full_entropy(20, 30)
    assert whole[10, 3] == np.float32(0.5)
    assert np.count_nonzero(whole) == 1


def test_a_plane_without_mask_and_doubt_leaves_nothing():
    nothing = np.zeros((1, 4, 4), dtype=np.float32)
    assert crop_finding(0, "w", nothing > 0, nothing) is None
