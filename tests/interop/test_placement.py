"""Readers that we did not write put every voxel of SEG and PM where the source has it, whatever its axes."""

from dataclasses import dataclass
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest

from operators.parametric_map import entropy_map
from operators.segmentation import volume_segmentation
from tests.interop.axes import (
    OBLIQUE,
    SIGNED_PERMUTATIONS,
    Points,
    find_bar,
    points_in_array,
    points_in_files,
    rounded,
    stack_in,
    write_series,
)
from tests.interop.node import ask_node, needs_node
from tests.interop.test_dcmqi import needs_dcmqi, read_by_dcmqi
from tests.operators.results import provenance

CASES = SIGNED_PERMUTATIONS | OBLIQUE


@dataclass(frozen=True)
class Case:
    """A series, the results made of it, and the truth."""

    sources: list[Path]
    segmentation: Path
    map: Path
    entropy: Points

    @property
    def mask(self) -> Points:
        return dict.fromkeys(self.entropy, 1)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    folder = tmp_path_factory.mktemp("axes")
    return {name: make_case(folder / name, axes) for name, axes in CASES.items()}


def make_case(folder, axes):
    sources = write_series(folder / "in", axes)
    stack = stack_in(folder / "in")
    findings = find_bar(stack)
    case = Case(sources, folder / "seg.dcm", folder / "pm.dcm", points_in_files(sources))
    volume_segmentation(stack, findings, provenance()).save_as(case.segmentation, enforce_file_format=True)
    entropy_map(stack, findings, provenance()).save_as(case.map, enforce_file_format=True)
    return case


def test_there_are_48_signed_axis_permutations():
    assert len(SIGNED_PERMUTATIONS) == 48
    handed = [np.linalg.det([axes.row, axes.column, axes.instances]) for axes in CASES.values()]
    assert sorted(np.round(handed)) == [-1] * 25 + [1] * 25  # half of them number the instances downwards


@pytest.mark.parametrize("name", CASES)
def test_highdicom(cases, name):
    case = cases[name]
    mask = hd.seg.segread(case.segmentation).get_volume(combine_segments=True)
    assert points_in_array(mask.array, mask.affine) == case.mask
    entropy = hd.imread(case.map).get_volume()
    assert points_in_array(entropy.array, entropy.affine) == case.entropy


@needs_dcmqi
@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_dcmqi(cases, name, tmp_path):
    case = cases[name]
    assert (
        points_in_array(*read_by_dcmqi("segimage2itkimage", case.segmentation, tmp_path / "seg")) == case.mask
    )
    assert points_in_array(*read_by_dcmqi("paramap2itkimage", case.map, tmp_path / "pm")) == case.entropy


@pytest.fixture(scope="module")
def placed(cases):
    """Every case as the viewer's own code places it, by one process."""
    asked = [
        {"sources": case.sources, "segmentation": case.segmentation, "map": case.map}
        for case in cases.values()
    ]
    return dict(zip(cases, ask_node("place.mjs", asked), strict=True))


@needs_node
@pytest.mark.peers
@pytest.mark.parametrize("name", CASES)
def test_cornerstone(cases, placed, name):
    for kind, expected in (("segmentation", cases[name].mask), ("map", cases[name].entropy)):
        found = np.array(placed[name][kind])
        assert rounded(found[:, :3], found[:, 3]) == expected
