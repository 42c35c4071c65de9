"""The checkpoints as members of a vote: from images to mean probability, entropy and mutual information."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.contracts import Image
from models.ensemble.framing import framed, unframed
from models.ensemble.members import read_member
from models.ensemble.plan import CONFIGURATION, network_of
from models.ensemble.predict import EnsemblePrediction, InferenceSettings, predict
from models.ensemble.recipe import SECTION, Recipe
from models.ensemble.record import EnsembleRecord
from models.placement import Box
from models.settings import EnsembleSettings
from models.uncertainty import Agreement, entropy, tempered

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Prepared:
    """The window on an image of (height, width) = ``size`` as the network sees it.

    ``pixels`` (1, h, w) float32 are the part of the framed window, ``framed`` = (rows, columns), that begins
    at ``top`` and ``left``: nnU-Net cuts black borders off.
    """

    pixels: Tensor
    top: int
    left: int
    framed: tuple[int, int]
    window: tuple[slice, slice]
    size: tuple[int, int]

    def back(self, values: Pixels) -> Pixels:
        """Return values (h, w) of ``pixels`` on the image, 0 where the network saw nothing."""
        inside = np.zeros(self.framed, np.float32)
        rows, columns = values.shape
        inside[self.top : self.top + rows, self.left : self.left + columns] = values
        whole = np.zeros(self.size, np.float32)
        seen = whole[self.window]
        whole[self.window] = unframed(inside, seen.shape[0], seen.shape[1])
        return whole


class CheckpointEnsemble:
    """The members of a record, asked one after the other; one network is in memory at any time."""

    def __init__(self, record: EnsembleRecord) -> None:
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        self.record = record
        plans = json.loads(record.plans.read_text(encoding="utf-8"))
        self.network = network_of(plans).eval()
        self.upright = SECTION in plans and Recipe.read(plans[SECTION]).upright
        self.manager = PlansManager(plans)
        self.configuration = self.manager.get_configuration(CONFIGURATION)
        rows, columns = self.configuration.patch_size
        self.tile = (int(rows), int(columns))

    def predict(
        self,
        images: Sequence[Image],
        settings: EnsembleSettings | None = None,
        regions: Sequence[Box | None] | None = None,
        device: str = "cpu",
    ) -> list[tuple[Agreement, int]]:
        """Return for each image (H, W, 3) uint8 what the members agree on, and how many were asked.

        Every member is read once for all images, those of different cycles in turn. ``regions`` are boxes
        in pixels of the images outside of which nobody looks; an image with None in its place is not looked
        at. ``device`` is where members compute, as torch names it.

        Raises ModelError: MODEL-MISSING, MEMBER-INVALID.
        """
        looked = [_whole(image) for image in images] if regions is None else regions
        pairs = list(zip(images, looked, strict=True))
        prepared = [self._prepare(image, region) for image, region in pairs if region is not None]
        how = settings or EnsembleSettings()
        inference = InferenceSettings(
            self.tile,
            mirror=how.mirror,
            upright=self.upright,
            precision=how.precision,
            converged=how.converged,
            at_least=how.at_least,
        )
        members = [partial(read_member, member.path) for member in self.record.in_turn()]
        predicted = predict(self.network, members, [one.pixels for one in prepared], inference, device=device)
        answers = iter(zip(predicted, prepared, strict=True))
        return [
            (_unseen(image), 0) if region is None else self._on_pixels(*next(answers))
            for image, region in pairs
        ]

    def _prepare(self, image: Image, region: Box) -> _Prepared:
        """Frame and normalise as in training, by nnU-Net's own preprocessor."""
        from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

        size = image.shape[0], image.shape[1]
        window = self.record.framing.window(region, size)
        small = framed(image[window], self.record.framing.side)
        data, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
            small[None, None].astype(np.float32), None, {"spacing": [999.0, 1.0, 1.0]}, self.manager,
            self.configuration, {"labels": {"background": 0, "target": 1}, "channel_names": {"0": "grey"}},
        )  # fmt: skip
        box = properties["bbox_used_for_cropping"]
        pixels = torch.from_numpy(data[:, 0]).float()
        corner = int(box[1][0]), int(box[2][0])
        return _Prepared(pixels, *corner, (small.shape[0], small.shape[1]), window, size)

    def _on_pixels(self, one: EnsemblePrediction, where: _Prepared) -> tuple[Agreement, int]:
        mean = where.back(one.probability)
        probability = tempered(mean, self.record.temperature) * (mean > 0)
        information = np.minimum(where.back(one.mutual_information), entropy(mean))
        return Agreement(probability, entropy(probability), information), one.members


def _whole(image: Image) -> Box:
    return 0.0, 0.0, float(image.shape[1]), float(image.shape[0])


def _unseen(image: Image) -> Agreement:
    nothing = np.zeros(image.shape[:2], np.float32)
    return Agreement(nothing, nothing, nothing)


@cache
def opened(record: EnsembleRecord) -> CheckpointEnsemble:
    """Return the ensemble of a record, its network built once."""
    return CheckpointEnsemble(record)
