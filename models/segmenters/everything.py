"""Everything mode: every region of an image that a segmenter finds when nobody tells it where to look.

For a segmenter that understands points this is SAM's automatic mask generation: a grid of points over the
image and, where asked for, over overlapping crops; masks that the model trusts and that are stable; no two
alike. One that understands boxes only is asked with a grid of boxes on several scales instead.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage, special
from segment_anything.utils.amg import (
    batched_mask_to_box,
    build_all_layer_point_grids,
    generate_crop_boxes,
    is_box_near_crop_edge,
)
from torchvision.ops import nms

from models.contracts import Image, Point, PromptableSegmenter, VisualPrompt
from models.masks.components import EIGHT
from models.placement import Box

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EverythingSettings:
    """What is asked and what is kept; the defaults are SAM's.

    Attributes
    ----------
    points_per_side, points_per_batch
        Points along each side of the image, and prompts decoded at a time.
    predicted_iou, stability, stability_offset
        A mask stays above this predicted IoU and at or above this stability: the IoU of the mask at the
        logits ``stability_offset`` and minus ``stability_offset``.
    box_nms, crop_nms
        Of two masks whose boxes overlap by more than this IoU one stays: within one crop the one of higher
        predicted IoU, between crops the one of the smaller crop.
    crop_layers, crop_overlap, crop_points_downscale
        Layer n adds 4 ** n crops that overlap by this share, with points divided by ``downscale ** n``.
    min_region_area
        Holes and islands with fewer pixels go; the largest island always stays.
    scales
        For segmenters that understand boxes only: sides of the boxes as shares of the image's sides. Boxes
        of one scale overlap by at least half.
    """

    points_per_side: int = 32
    predicted_iou: float = 0.88
    stability: float = 0.95
    stability_offset: float = 1.0
    box_nms: float = 0.7
    crop_layers: int = 0
    crop_nms: float = 0.7
    crop_overlap: float = 512 / 1500
    crop_points_downscale: int = 1
    min_region_area: int = 0
    points_per_batch: int = 64
    scales: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125)


@dataclass(frozen=True)
class Region:
    """A region: its pixels (H, W), the tight box, predicted IoU, stability and number of pixels."""

    mask: Mask
    box: Box
    quality: float
    stability: float
    area: int


@dataclass(frozen=True)
class _Found:
    """A mask as long as there are many of them: only the pixels within its box.

    ``corners`` are (x0, y0, x1, y1) of its first and last pixels on the image, both inside, as in SAM.
    """

    window: Mask
    corners: tuple[int, int, int, int]
    quality: float
    stability: float
    crop_area: int

    def on_image(self, size: tuple[int, int]) -> Mask:
        mask = np.zeros(size, bool)
        x0, y0, x1, y1 = self.corners
        mask[y0 : y1 + 1, x0 : x1 + 1] = self.window
        return mask


def segment_everything(
    segmenter: PromptableSegmenter, image: Image, settings: EverythingSettings
) -> tuple[Region, ...]:
    """Return the regions of an image (H, W, 3), best predicted IoU first where there are no crops.

    Raises
    ------
    ModelError
        As the segmenter.
    """
    size = (image.shape[0], image.shape[1])
    crops, layers = generate_crop_boxes(size, settings.crop_layers, settings.crop_overlap)
    found: list[_Found] = []
    for crop, layer in zip(crops, layers, strict=True):
        here = list(_in_crop(segmenter, image, crop, layer, settings))
        found += _distinct(here, [mask.quality for mask in here], settings.box_nms)
    if len(crops) > 1:
        found = _distinct(found, [1.0 / mask.crop_area for mask in found], settings.crop_nms)
    if settings.min_region_area > 0:
        found = _without_specks(found, size, settings)
    return tuple(_region(mask, size) for mask in found)


def box_grid(size: tuple[int, int], scales: Sequence[float]) -> tuple[Box, ...]:
    """Return boxes of every scale over an image (height, width); neighbours overlap by half at least."""
    height, width = size
    boxes = []
    for scale in scales:
        across = 1 + math.ceil(round(2.0 * (1.0 - scale) / scale, 6))
        starts = np.linspace(0.0, 1.0 - scale, across)
        boxes += [
            (float(x * width), float(y * height), float((x + scale) * width), float((y + scale) * height))
            for y in starts
            for x in starts
        ]
    return tuple(boxes)


def _queries(
    segmenter: PromptableSegmenter, size: tuple[int, int], layer: int, settings: EverythingSettings
) -> tuple[list[VisualPrompt], bool]:
    """Return the prompts for a crop of (height, width), and whether one of them can mean several things."""
    if "points" not in segmenter.understands:
        return [VisualPrompt(box) for box in box_grid(size, settings.scales)], False
    grids = build_all_layer_point_grids(
        settings.points_per_side, settings.crop_layers, settings.crop_points_downscale
    )
    places = grids[layer] * np.array([size[1], size[0]])
    return [VisualPrompt(points=(Point(float(x), float(y)),)) for x, y in places], True


def _in_crop(
    segmenter: PromptableSegmenter,
    image: Image,
    crop: tuple[int, int, int, int],
    layer: int,
    settings: EverythingSettings,
) -> Iterator[_Found]:
    """Yield the masks in one crop (x0, y0, x1, y1) that are trusted, stable and not cut by the crop."""
    x0, y0, x1, y1 = crop
    part = np.ascontiguousarray(image[y0:y1, x0:x1])
    size = (y1 - y0, x1 - x0)
    whole = (0, 0, image.shape[1], image.shape[0])
    embedding = segmenter.embed(part)
    prompts, ambiguous = _queries(segmenter, size, layer, settings)
    for start in range(0, len(prompts), settings.points_per_batch):
        batch = prompts[start : start + settings.points_per_batch]
        candidates = segmenter.decode(embedding, size, batch, multimask=ambiguous)
        probability = candidates.probability.reshape(-1, *size)
        quality = candidates.quality.reshape(-1)
        if settings.predicted_iou > 0.0:
            trusted = quality > settings.predicted_iou
            probability, quality = probability[trusted], quality[trusted]
        stability = _stability(probability, settings.stability_offset)
        masks = probability > 0.5
        kept = (stability >= settings.stability) & masks.any((1, 2))
        corners = batched_mask_to_box(torch.from_numpy(masks))
        kept &= ~is_box_near_crop_edge(corners, list(crop), list(whole)).numpy()
        for index in np.flatnonzero(kept):
            left, top, right, bottom = (int(corner) for corner in corners[index])
            yield _Found(
                window=masks[index, top : bottom + 1, left : right + 1].copy(),
                corners=(left + x0, top + y0, right + x0, bottom + y0),
                quality=float(quality[index]),
                stability=float(stability[index]),
                crop_area=size[0] * size[1],
            )


def _stability(probability: npt.NDArray[np.float32], offset: float) -> npt.NDArray[np.float64]:
    """Return the IoU (N,) of each mask at the logits ``offset`` and ``-offset``; 0 where there is neither."""
    inner = (probability > np.float32(special.expit(offset))).sum((1, 2))
    outer = (probability > np.float32(special.expit(-offset))).sum((1, 2))
    stable: npt.NDArray[np.float64] = inner / np.maximum(outer, 1)
    return stable


def _distinct(found: list[_Found], scores: Sequence[float], threshold: float) -> list[_Found]:
    """Keep the masks of highest score, in that order, whose boxes overlap no better one by more than this."""
    if not found:
        return []
    boxes = torch.tensor([mask.corners for mask in found], dtype=torch.float32)
    ranked = torch.tensor(scores, dtype=torch.float32)
    return [found[index] for index in nms(boxes, ranked, threshold).tolist()]


def _without_specks(found: list[_Found], size: tuple[int, int], settings: EverythingSettings) -> list[_Found]:
    """Fill small holes, drop small islands, then drop what has become alike, untouched masks first."""
    cleaned, untouched = [], []
    for mask in found:
        before = mask.on_image(size)
        after = clean(before, settings.min_region_area)
        x0, y0, x1, y1 = (int(corner) for corner in batched_mask_to_box(torch.from_numpy(after)))
        cleaned.append(replace(mask, window=after[y0 : y1 + 1, x0 : x1 + 1].copy(), corners=(x0, y0, x1, y1)))
        untouched.append(float(np.array_equal(before, after)))
    return _distinct(cleaned, untouched, max(settings.box_nms, settings.crop_nms))


def clean(mask: Mask, area: int) -> Mask:
    """Fill the holes of a mask (H, W) with fewer than ``area`` pixels, then drop such islands.

    The largest island stays even if it is smaller. Neighbours touch also at corners, as in SAM.
    """
    holes, _ = ndimage.label(~mask, structure=EIGHT)
    filled = mask | (np.bincount(holes.ravel()) < area)[holes]
    islands, count = ndimage.label(filled, structure=EIGHT)
    sizes = np.bincount(islands.ravel(), minlength=count + 1)
    kept = sizes >= area
    kept[0] = False
    if not kept.any() and count:
        kept[1 + sizes[1:].argmax()] = True
    cleaned: Mask = kept[islands]
    return cleaned


def _region(found: _Found, size: tuple[int, int]) -> Region:
    x0, y0, x1, y1 = found.corners
    box = (float(x0), float(y0), float(x1 + 1), float(y1 + 1))
    return Region(found.on_image(size), box, found.quality, found.stability, int(found.window.sum()))
