"""dcmqi, an independent reader, puts every voxel of our objects at the same place in the body."""

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from operators.parametric_map import parametric_map, quantity_map
from operators.quantity import ENTROPY, QUANTITIES
from operators.segmentation import volume_segmentation
from operators.stack import build_stack
from operators.study import read_folder
from tests.interop.objects import stack_of
from tests.operators.arrangements import EVERY_WAY, arranged, found_everywhere, points, valued_points
from tests.operators.results import asymmetric, mask_volume, points_of, provenance
from tests.operators.synthetic import enhanced, phantom, volume

BIN = Path(sys.executable).parent

needs_dcmqi = pytest.mark.skipif(not (BIN / "segimage2itkimage").exists(), reason="dcmqi is not installed")
pytestmark = needs_dcmqi

LAYOUTS = {
    "axial": {},
    "oblique": {"row": (0.96, 0.28, 0.0), "column": (-0.28, 0.96, 0.0)},
    "coronal": {"row": (1.0, 0.0, 0.0), "column": (0.0, 0.0, -1.0)},
    "flipped": {"row": (-1.0, 0.0, 0.0), "column": (0.0, 1.0, 0.0)},
    "odd matrix": {"values": phantom()[:, :39, :47]},
}


@pytest.fixture(params=[*LAYOUTS, "enhanced"])
def stack(request, tmp_path):
    if request.param == "enhanced":
        enhanced(tmp_path / "in" / "x.dcm")
    else:
        volume(tmp_path / "in", **LAYOUTS[request.param])
    (series,) = read_folder(tmp_path / "in").series
    return build_stack(series)


def saved(result, folder):
    path = folder / "result.dcm"
    result.save_as(path, enforce_file_format=True)
    return path


def read_by_dcmqi(tool, path, out):
    """Return the voxels (slices, rows, columns) that the tool reads, and their affine to LPS millimetres."""
    out.mkdir(parents=True)
    command = [
        BIN / tool,
        "--inputDICOM",
        path,
        "--outputDirectory",
        out,
        "--outputType",
        "nrrd",
        "--prefix",
        "p",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = sorted(out.glob("*.nrrd"))
    image = SimpleITK.ReadImage(str(found))
    directions = np.asarray(image.GetDirection()).reshape(3, 3) * np.asarray(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions[:, ::-1], image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image), affine


@pytest.mark.slow
@pytest.mark.parametrize(("axes", "turn"), EVERY_WAY, ids=itertools.count())
def test_results_of_every_arrangement_lie_on_the_same_points_of_the_body(axes, turn, tmp_path):
    arranged(tmp_path / "in", axes, turn)
    (series,) = read_folder(tmp_path / "in").series
    stack = build_stack(series)
    truth, findings = points(turn), found_everywhere(stack)
    seg = volume_segmentation(stack, findings, provenance())
    assert set(
        valued_points(*read_by_dcmqi("segimage2itkimage", saved(seg, tmp_path), tmp_path / "seg"))
    ) == set(truth)
    pm = quantity_map(stack, findings, provenance())
    entropy = {place: value / 1000 for place, value in truth.items()}
    assert valued_points(
        *read_by_dcmqi("paramap2itkimage", saved(pm, tmp_path), tmp_path / "pm")
    ) == pytest.approx(entropy)


def test_a_segmentation_is_the_same_set_of_points(stack, tmp_path):
    findings = asymmetric(stack)
    result = saved(volume_segmentation(stack, findings, provenance()), tmp_path)
    voxels, affine = read_by_dcmqi("segimage2itkimage", result, tmp_path / "out")
    assert points_of(voxels > 0, affine) == points_of(mask_volume(stack, findings), stack.grid.affine)


def test_a_parametric_map_has_the_same_values_at_the_same_points(stack, tmp_path):
    _same_values(stack, ENTROPY, tmp_path)


@pytest.mark.parametrize("quantity", QUANTITIES.values(), ids=QUANTITIES)
def test_every_quantity_is_read(quantity, tmp_path):
    _same_values(stack_of("MR", tmp_path / "in"), quantity, tmp_path)


def _same_values(stack, quantity, folder):
    findings = asymmetric(stack)
    maps = [plane.entropy_map for plane in findings.planes]
    result = saved(parametric_map(stack, quantity, maps, provenance()), folder)
    voxels, affine = read_by_dcmqi("paramap2itkimage", result, folder / "out")
    whole = np.zeros(stack.grid.shape, dtype=np.float32)
    for finding in findings.planes:
        whole[finding.plane] = finding.full_entropy(*stack.grid.shape[1:])
    for level in np.unique(whole[whole > 0]):
        here = np.isclose(voxels, level, atol=1e-6)
        assert points_of(here, affine) == points_of(whole == level, stack.grid.affine)
    assert np.count_nonzero(voxels) == np.count_nonzero(whole)
