"""Features of the corpus, computed once: the frozen tower's pyramid of images and of seeded variants.

The tower costs about a second an image on a laptop and the head milliseconds, so augmentation before the
encoder is paid once, kept on disk, and used by every fold.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from models.align.sample import Mask, Sample
from models.contracts import Image
from models.encoders.tinyvit import SIDE, TOKEN_SIDE, TinyVitTower, placement_of, scaled_size

FRAMED: dict[str, int] = {"breast_ultrasound": 3, "brain_mr": 4, "brain_mr_volume": 1}
"""Seeded variants that show most of the image, by set: only the small sets with lesions get any."""

ZOOMED: dict[str, int] = {"breast_ultrasound": 4, "brain_mr": 4}
"""Seeded variants after those that zoom in: a lesion of a few tokens teaches little about its outline."""

KEPT = 0.75
"""A crop keeps at least this share of every lesion; else it would teach that half a lesion is none."""


@dataclass(frozen=True)
class Features:
    """What training needs of one image or variant.

    ``pyramid`` (864, 32, 32) float16; ``regions`` maps a concept to its coverage (32, 32) float32 in [0, 1];
    ``rows`` and ``columns`` bound the tokens that are image and not padding.
    """

    origin: str
    name: str
    variant: int
    fold: int
    pyramid: Tensor
    regions: dict[str, Tensor]
    present: frozenset[str]
    absent: frozenset[str]
    rows: int
    columns: int


def variants(origin: str) -> range:
    """Return the numbers of the variants of an image of a set, 0 for the image itself."""
    return range(FRAMED.get(origin, 0) + ZOOMED.get(origin, 0) + 1)


def origin_of(origin: str, variant: int) -> str:
    """Return the name under which a recipe draws a variant: the zoomed ones of a set go by their own."""
    return origin if variant <= FRAMED.get(origin, 0) else f"{origin}_zoomed"


def vary(sample: Sample, variant: int) -> Sample:
    """Return a seeded variant of a sample: crop, mirror, gamma, contrast, blur, speckle.

    Variant 0 is the image.
    """
    if variant == 0:
        return sample
    seed = hashlib.sha256(f"{sample.origin}/{sample.name}/{variant}".encode()).digest()
    rng = np.random.default_rng(int.from_bytes(seed[:8], "big"))
    crop = _zoom if variant > FRAMED[sample.origin] else _crop
    rows, columns = crop(sample, rng)
    image = sample.image[rows, columns]
    regions = {concept: mask[rows, columns] for concept, mask in sample.regions.items()}
    if sample.mirrors and rng.random() < 0.5:
        image = image[:, ::-1]
        regions = {concept: mask[:, ::-1] for concept, mask in regions.items()}
    image = _tone(image, rng)
    shown = {concept: np.ascontiguousarray(mask) for concept, mask in regions.items() if mask.any()}
    absent = sample.absent
    return Sample(
        sample.origin, sample.name, image, sample.fold, shown, sample.present, absent, sample.mirrors
    )


def _crop(sample: Sample, rng: np.random.Generator) -> tuple[slice, slice]:
    height, width = sample.image.shape[:2]
    for _ in range(8):
        scale = rng.uniform(0.6, 1.0)
        h, w = int(height * scale), int(width * min(1.0, scale * rng.uniform(0.9, 1.1)))
        y, x = rng.integers(0, height - h + 1), rng.integers(0, width - w + 1)
        window = (slice(y, y + h), slice(x, x + w))
        if all(mask[window].sum() >= KEPT * mask.sum() for mask in sample.regions.values()):
            return window
    return slice(0, height), slice(0, width)


def _zoom(sample: Sample, rng: np.random.Generator) -> tuple[slice, slice]:
    """Return a window of a third to two thirds of the image that holds all regions where they fit."""
    inside = np.logical_or.reduce(list(sample.regions.values())) if sample.regions else None
    scale = rng.uniform(0.33, 0.67)
    windows = []
    for axis, length in enumerate(sample.image.shape[:2]):
        low, high = 0, length
        side = int(length * scale)
        if inside is not None:
            held = np.flatnonzero(inside.any(1 - axis))
            side = min(length, max(side, int(1.2 * (held[-1] + 1 - held[0]))))
            low, high = max(0, held[-1] + 1 - side), min(held[0] + side, length)
        start = int(rng.integers(low, max(low, high - side) + 1))
        windows.append(slice(start, start + side))
    return windows[0], windows[1]


def _tone(image: Image, rng: np.random.Generator) -> Image:
    values = (image.astype(np.float32) / 255.0) ** rng.uniform(0.65, 1.5)
    values = values * rng.uniform(0.8, 1.2) + rng.uniform(-0.08, 0.08)
    if rng.random() < 0.3:
        values = ndimage.gaussian_filter(values, (rng.uniform(0.4, 1.2),) * 2 + (0,))
    noise = rng.normal(0.0, rng.uniform(0.0, 0.05), image.shape[:2]).astype(np.float32)
    return np.asarray(np.clip(values + noise[:, :, None], 0.0, 1.0) * 255.0, dtype=np.uint8)


def coverage(mask: Mask) -> Tensor:
    """Return how much of each token (32, 32) a mask (H, W) covers, in [0, 1]."""
    height, width = mask.shape
    size = scaled_size(height, width)
    values = torch.from_numpy(mask.astype(np.float32))[None, None]
    values = F.interpolate(values, size=size, mode="bilinear", antialias=True)
    values = F.pad(values, (0, SIDE - size[1], 0, SIDE - size[0]))
    return F.adaptive_avg_pool2d(values, TOKEN_SIDE)[0, 0].clamp(0.0, 1.0)


def _path(folder: Path, sample: Sample, variant: int) -> Path:
    return folder / f"{sample.origin}__{sample.name}__{variant}.pt"


_towers: list[TinyVitTower] = []
"""The tower of a worker process, loaded once when the process starts."""


def _start(state: dict[str, Tensor]) -> None:
    torch.set_num_threads(1)
    tower = TinyVitTower(cache_bytes=0)
    tower.load_upstream(state)
    _towers.append(tower)


def _compute(sample: Sample, variant: int, path: Path, bf16: bool) -> None:
    varied = vary(sample, variant)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        encoding = _towers[0].encode(varied.image)
    content: dict[str, Tensor] = {concept: coverage(mask).half() for concept, mask in varied.regions.items()}
    partial = path.with_suffix(".partial")
    torch.save(
        {"pyramid": encoding.pyramid.clone(), "size": torch.tensor(varied.image.shape[:2]), **content},
        partial,
    )
    partial.rename(path)


def extract(
    samples: Iterable[Sample],
    state: dict[str, Tensor],
    folder: Path,
    processes: int,
    bf16: bool,
    told: Callable[[int, int], None],
) -> None:
    """Compute and store what is missing under ``folder``. ``state`` is the LiteMedSAM checkpoint.

    Resumable; ``told`` hears how many of how many are done. With ``bf16`` the tower computes in bfloat16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [(s, v) for s in samples for v in variants(s.origin)]
    missing = [(s, v) for s, v in wanted if not _path(folder, s, v).exists()]
    missing.sort(key=lambda pair: pair[1])
    # Torch's threads do not survive a fork: the processes start afresh.
    with ProcessPoolExecutor(processes, get_context("spawn"), _start, (state,)) as pool:
        waiting = [
            pool.submit(_compute, sample, variant, _path(folder, sample, variant), bf16)
            for sample, variant in missing
        ]
        for number, one in enumerate(waiting, start=1):
            one.result()
            told(number, len(waiting))


def load(samples: Iterable[Sample], folder: Path) -> Iterator[Features]:
    """Yield the stored features of every sample and of its variants."""
    for sample in samples:
        for variant in variants(sample.origin):
            path = _path(folder, sample, variant)
            stored: dict[str, Tensor] = torch.load(path, weights_only=True)
            pyramid = stored.pop("pyramid")
            height, width = (int(side) for side in stored.pop("size"))
            place = placement_of(height, width)
            regions = {concept: values.float() for concept, values in stored.items()}
            origin = origin_of(sample.origin, variant)
            yield Features(
                origin, sample.name, variant, sample.fold, pyramid, regions, sample.present, sample.absent,
                place.rows, place.columns,
            )  # fmt: skip


def standardisation(features: Iterable[Features]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return mean and standard deviation (864,) of the pyramid's channels over all tokens that are image."""
    count, total, squares = 0, torch.zeros(0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    for item in features:
        values = item.pyramid[:, : item.rows, : item.columns].double().flatten(1)
        if count == 0:
            total, squares = torch.zeros(len(values)).double(), torch.zeros(len(values)).double()
        count += values.shape[1]
        total += values.sum(1)
        squares += (values**2).sum(1)
    mean = total / count
    deviation = (squares / count - mean**2).clamp_min(1e-12).sqrt()
    return mean.float().numpy(), deviation.float().numpy()
