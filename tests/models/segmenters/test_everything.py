"""Everything mode: segment_anything's automatic mask generator, mask by mask, and the grid of boxes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from segment_anything import SamAutomaticMaskGenerator
from torch import nn
from torch.nn import functional

from models.bundles.bundle import load_bundle
from models.contracts import Candidates
from models.segmenters.everything import EverythingSettings, box_grid, clean, segment_everything
from models.segmenters.sam import Sam
from tests.models.segmenters.small import BoxStub, noise, small, upstream

SETTINGS = EverythingSettings(points_per_side=8, predicted_iou=0.5, stability=0.4, points_per_batch=20)
EVERY_MASK = replace(SETTINGS, predicted_iou=-1.0, stability=0.0, box_nms=1.0, points_per_side=4)


class Blobs(nn.Module):
    """A mask decoder whose masks lie around the point, where random weights fill the whole image.

    The likeness of the point's and a token's positional encodings falls with their distance; the image adds
    its part, and each of the three candidates is wider than the one before.
    """

    def forward(
        self, image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings, multimask_output
    ):
        point = sparse_prompt_embeddings[:, 0]
        near = torch.einsum("nc,chw->nhw", point, image_pe[0]) / 128 + 0.1 * image_embeddings[0].mean(0).sin()
        wider = torch.tensor([0.6, 0.4, 0.2])[None, :, None, None]
        logits = 8.0 * (functional.interpolate(near[:, None], scale_factor=4, mode="bilinear") - wider)
        return logits, 0.6 + 0.3 * (point.sum(1, keepdim=True) * torch.tensor([1.0, 2.0, 3.0])).sin()


@pytest.fixture(scope="module")
def sam() -> Sam:
    made = small(Sam)
    assert isinstance(made, Sam)
    return made


@pytest.fixture(scope="module")
def blobs() -> Sam:
    made = small(Sam)
    assert isinstance(made, Sam)
    made.mask_decoder = Blobs()
    made.prompt_encoder.pe_layer.positional_encoding_gaussian_matrix.mul_(0.6)
    for kind in made.prompt_encoder.point_embeddings:
        kind.weight.zero_()
    return made


def generated(sam: Sam, image: np.ndarray, settings: EverythingSettings) -> list[dict]:
    return SamAutomaticMaskGenerator(
        upstream(sam),
        points_per_side=settings.points_per_side,
        points_per_batch=settings.points_per_batch,
        pred_iou_thresh=settings.predicted_iou,
        stability_score_thresh=settings.stability,
        stability_score_offset=settings.stability_offset,
        box_nms_thresh=settings.box_nms,
        crop_n_layers=settings.crop_layers,
        crop_nms_thresh=settings.crop_nms,
        crop_overlap_ratio=settings.crop_overlap,
        crop_n_points_downscale_factor=settings.crop_points_downscale,
        min_mask_region_area=settings.min_region_area,
    ).generate(image)


@pytest.mark.parametrize("cleaned", [0, 40])
@pytest.mark.parametrize("crops", [0, 1])
@pytest.mark.parametrize("size", [(64, 64), (128, 96), (61, 90)])
def test_the_regions_are_those_of_segment_anything(
    blobs: Sam, size: tuple[int, int], crops: int, cleaned: int
) -> None:
    if cleaned:
        pytest.importorskip("cv2", reason="segment_anything cleans its masks with OpenCV")
    image = noise(*size)
    settings = replace(SETTINGS, crop_layers=crops, crop_points_downscale=2, min_region_area=cleaned)
    assert_the_same(blobs, image, settings, at_least=8)


def test_every_mask_of_a_random_sam_is_that_of_segment_anything(sam: Sam) -> None:
    assert_the_same(sam, noise(64, 64), EVERY_MASK, at_least=48)


def assert_the_same(sam: Sam, image: np.ndarray, settings: EverythingSettings, at_least: int) -> None:
    expected = generated(sam, image, settings)
    regions = segment_everything(sam, image, settings)
    assert len(expected) >= at_least
    assert len(regions) == len(expected)
    for region, other in zip(regions, expected, strict=True):
        assert np.array_equal(region.mask, other["segmentation"])
        assert region.area == other["area"] == region.mask.sum()
        assert region.quality == pytest.approx(other["predicted_iou"], abs=1e-5)
        assert region.stability == pytest.approx(other["stability_score"], abs=1e-5)
        x, y, width, height = other["bbox"]  # to the last pixel, where a box here ends behind it
        assert region.box == (x, y, x + width + 1, y + height + 1)


def test_thresholds_are_strict_for_predicted_iou_and_inclusive_for_stability() -> None:
    image = noise(40, 40)
    settings = EverythingSettings(points_per_side=2, predicted_iou=0.5, stability=1.0, box_nms=1.0)
    assert segment_everything(BoxStub((0.5,)), image, settings) == ()
    found = segment_everything(BoxStub((0.75,)), image, settings)
    assert len(found) == 4
    assert all(region.stability == 1.0 for region in found)


def test_points_lie_in_the_middle_of_equal_cells() -> None:
    stub = BoxStub((0.9,))
    segment_everything(stub, noise(40, 80), EverythingSettings(points_per_side=4))
    assert sorted({prompt.points[0].x for prompt in stub.asked}) == [10.0, 30.0, 50.0, 70.0]
    assert sorted({prompt.points[0].y for prompt in stub.asked}) == [5.0, 15.0, 25.0, 35.0]


def test_of_masks_alike_the_better_one_stays() -> None:
    """A point's candidates are told apart too: here each is the one before, shrunk by a pixel."""
    found = segment_everything(
        BoxStub((0.9, 0.95)), noise(40, 40), EverythingSettings(points_per_side=1, box_nms=0.4)
    )
    assert [(region.quality, region.area) for region in found] == [(pytest.approx(0.95), 25)]


def test_a_segmenter_of_boxes_alone_is_asked_with_boxes_on_every_scale() -> None:
    stub = BoxStub((0.9,))
    stub.understands = frozenset({"boxes"})
    settings = EverythingSettings(scales=(1.0, 0.5), points_per_batch=4)
    found = segment_everything(stub, noise(40, 80), settings)
    assert [prompt.box for prompt in stub.asked] == list(box_grid((40, 80), (1.0, 0.5)))
    assert len(stub.asked) == 1 + 9
    assert not any(prompt.points for prompt in stub.asked)
    assert {region.box for region in found} == {prompt.box for prompt in stub.asked}


@given(st.integers(8, 300), st.integers(8, 300), st.floats(0.1, 1.0))
def test_boxes_of_a_scale_cover_the_image_and_stay_on_it(height: int, width: int, scale: float) -> None:
    boxes = np.array(box_grid((height, width), (scale,)))
    assert boxes.min() >= 0.0
    assert boxes[:, 2].max() <= width + 1e-9
    assert boxes[:, 3].max() <= height + 1e-9
    assert np.allclose(boxes[:, 2] - boxes[:, 0], scale * width)
    assert (boxes[:, 0].min(), boxes[:, 2].max()) == (0.0, pytest.approx(width))
    assert (boxes[:, 1].min(), boxes[:, 3].max()) == (0.0, pytest.approx(height))
    assert np.diff(np.unique(boxes[:, 0]), prepend=0.0).max() <= (0.5 + 1e-5) * scale * width


class Blank(BoxStub):
    """Finds nothing anywhere."""

    def decode(self, embedding, size, prompts, multimask=False):
        found = super().decode(embedding, size, prompts, multimask)
        return Candidates(found.probability * 0.1, found.quality)


@pytest.mark.parametrize("stability", [0.0, 0.9])
def test_nothing_found_is_no_region_also_when_everything_may_pass(stability: float) -> None:
    settings = EverythingSettings(points_per_side=2, stability=stability, crop_layers=1, min_region_area=5)
    assert segment_everything(Blank((0.9,)), noise(40, 40), settings) == ()


def test_cleaning_fills_holes_then_drops_islands_but_keeps_the_largest() -> None:
    """So it is no filter by the size of a mask: one smaller than the limit stays."""
    mask = np.zeros((30, 30), bool)
    mask[2:12, 2:12] = True
    mask[5:7, 5:7] = False
    mask[20:22, 20:22] = True
    cleaned = clean(mask, 10)
    assert cleaned.sum() == 100
    assert cleaned[5, 5]
    assert not cleaned[20, 20]
    speck = np.zeros((30, 30), bool)
    speck[4:6, 4:6] = True
    speck[9, 9] = True
    assert clean(speck, 10).sum() == 4


@pytest.mark.slow
def test_litemedsam_finds_a_disc_without_being_told_where_but_not_by_sams_thresholds() -> None:
    """Its predicted IoU and stability are lower than SAM's even where its mask is right."""
    rows, columns = np.mgrid[0:160, 0:240]
    disc = (rows - 70) ** 2 + (columns - 150) ** 2 < 30**2
    image = np.repeat(np.where(disc, 200, 40).astype(np.uint8)[:, :, None], 3, axis=2)
    segmenter = load_bundle("lite").segmenter
    sams = EverythingSettings(scales=(0.5, 0.25))
    assert segment_everything(segmenter, image, sams) == ()
    found = segment_everything(segmenter, image, replace(sams, predicted_iou=0.7, stability=0.65))
    overlaps = [2 * (region.mask & disc).sum() / (region.area + disc.sum()) for region in found]
    assert max(overlaps) > 0.9
