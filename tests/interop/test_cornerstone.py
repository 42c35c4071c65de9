"""The viewer's own code, outside a browser, puts every voxel of our results where it is in the body."""

import numpy as np
import pytest

from operators.parametric_map import quantity_map
from operators.segmentation import volume_segmentation
from operators.stack import build_stack
from operators.study import read_folder
from tests.interop.node import ask_node, needs_node
from tests.operators.arrangements import EVERY_WAY, arranged, body, found_everywhere, points
from tests.operators.results import provenance, task
from tests.operators.synthetic import volume

pytestmark = [needs_node, pytest.mark.peers]

RESULTS = ("binary", "labelmap", "map")


def question(folder, sources):
    """Write the results of a series, and ask where they are."""
    (series,) = read_folder(folder / "in").series
    stack = build_stack(series)
    findings = found_everywhere(stack)
    made = {
        kind: volume_segmentation(stack, findings, provenance(task(segmentation_type=kind)))
        for kind in ("binary", "labelmap")
    } | {"map": quantity_map(stack, findings, provenance())}
    files = [folder / f"{kind}.dcm" for kind in RESULTS]
    for result, file in zip(made.values(), files, strict=True):
        result.save_as(file, enforce_file_format=True)
    return {"sources": sources, "results": files}


def valued(voxels):
    return {tuple((np.round(place, 2) + 0.0).tolist()): value for *place, value in voxels}


@pytest.fixture(scope="module")
def placed(tmp_path_factory):
    """Every arrangement as the viewer's code places it, all by one process."""
    folder = tmp_path_factory.mktemp("arrangements")
    names = [str(number) for number in range(len(EVERY_WAY))]
    asked = [
        question(folder / name, arranged(folder / name / "in", *way))
        for name, way in zip(names, EVERY_WAY, strict=True)
    ]
    return ask_node("place.mjs", asked)


@pytest.mark.parametrize("result", RESULTS)
@pytest.mark.parametrize("number", range(len(EVERY_WAY)))
def test_results_of_every_arrangement_lie_on_the_same_points_of_the_body(placed, number, result):
    truth = points(EVERY_WAY[number][1])
    entropy = {place: value / 1000 for place, value in truth.items()}
    found = valued(placed[number][RESULTS.index(result)])
    assert found == pytest.approx(entropy if result == "map" else dict.fromkeys(truth, 1))


def test_bits_of_a_matrix_that_fills_no_whole_bytes_are_never_handed_to_the_viewer(tmp_path):
    files = volume(tmp_path / "in", np.where(body() > 0, body(), -900)[:, :7, :9])
    (segmentation, _, entropy), *_ = ask_node("place.mjs", [question(tmp_path, files)])
    assert len(segmentation) == np.count_nonzero(body()[:, :7, :9])
    assert "multiple of 4" in entropy["failed"]  # known, in OHIF 3.13, too: README, limits
