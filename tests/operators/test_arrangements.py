"""However rows, columns and files follow the body, every result lies on the same points of it."""

import io
import itertools

import highdicom as hd
import numpy as np
import pytest

from operators.parametric_map import quantity_map
from operators.segmentation import volume_segmentation
from operators.stack import build_stack
from operators.study import read_folder
from tests.operators.arrangements import (
    EVERY_WAY,
    SIGNED_AXES,
    arranged,
    body,
    found_everywhere,
    points,
    valued_points,
)
from tests.operators.results import provenance, values_of


def written(result):
    buffer = io.BytesIO()
    result.save_as(buffer, enforce_file_format=True)
    return io.BytesIO(buffer.getvalue())


def test_no_mirror_and_no_rotation_maps_the_phantom_onto_itself():
    assert len({_content(axes) for axes in SIGNED_AXES}) == 48


def _content(axes):
    values = body().transpose([int(np.argmax(np.abs(axis))) for axis in axes])
    flipped = np.flip(values, [number for number, axis in enumerate(axes) if axis.sum() < 0])
    return (flipped.shape, flipped.tobytes())


@pytest.mark.parametrize(("axes", "turn"), EVERY_WAY, ids=itertools.count())
def test_results_lie_on_the_same_points_of_the_body(tmp_path, axes, turn):
    arranged(tmp_path, axes, turn)
    (series,) = read_folder(tmp_path).series
    stack = build_stack(series)
    truth = points(turn)
    assert valued_points(values_of(stack), stack.grid.affine) == truth
    findings = found_everywhere(stack)
    segmentation = hd.seg.segread(written(volume_segmentation(stack, findings, provenance())))
    seg = segmentation.get_volume(combine_segments=True)
    assert set(valued_points(seg.array, seg.affine)) == set(truth)
    pm = hd.imread(written(quantity_map(stack, findings, provenance()))).get_volume()
    entropy = {place: value / 1000 for place, value in truth.items()}
    assert valued_points(pm.array, pm.affine) == pytest.approx(entropy)


@pytest.mark.parametrize("order", ["reversed", "shuffled"])
def test_the_order_of_instance_numbers_and_names_does_not_matter(tmp_path, order):
    arranged(tmp_path, SIGNED_AXES[0])
    paths = sorted(tmp_path.iterdir())
    new = list(reversed(paths)) if order == "reversed" else [paths[k] for k in (3, 0, 6, 1, 5, 2, 4)]
    for number, path in enumerate(new):
        path.rename(tmp_path / f"new{number}.dcm")
    (series,) = read_folder(tmp_path).series
    for number, instance in enumerate(series.instances, start=1):
        instance.header.InstanceNumber = number
    stack = build_stack(series)
    assert valued_points(values_of(stack), stack.grid.affine) == points()
