"""The method, stage by stage: text, saliency, coarse mask, SAM, vote. No other path leads to a mask.

Each stage takes what the one before returns. A stage that finds nothing says why with a code, and the
stages after it pass that code on, so that callers run all of them without branches.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from models.bundles.bundle import Bundle
from models.contracts import CalibratedEncoder, Image, VisualPrompt
from models.errors import Code
from models.masks.binarise import otsu
from models.masks.components import Component, components, select, widen
from models.placement import Placement
from models.prompts import check_prompts
from models.saliency.m2ib import m2ib, min_max
from models.settings import Settings
from models.uncertainty import THRESHOLD, agree


@dataclass(frozen=True)
class Saliency:
    """Where the prompt is meant.

    ``maps`` is (members, rows, columns) float32 in [0, 1] on the token grid; ``relevance`` is the
    probability that the image shows what the prompt names; ``status`` is TARGET-ABSENT when that is too
    small.
    """

    maps: npt.NDArray[np.float32]
    relevance: float
    placement: Placement
    status: Code | None = None

    def on_pixels(self, member: int | None = None) -> npt.NDArray[np.float32]:
        """Return (H, W) in [0, 1] on the image's own pixels: one member, or the mean of all."""
        if len(self.maps) == 0:
            return np.zeros((self.placement.height, self.placement.width), np.float32)
        grid = self.maps.mean(0) if member is None else self.maps[member]
        pixels: npt.NDArray[np.float32] = self.placement.on_pixels(torch.from_numpy(grid)[None])[0]
        return pixels


@dataclass(frozen=True)
class Coarse:
    """The components of each member, on the pixels of an image of (height, width) = ``size``."""

    components: tuple[tuple[Component, ...], ...]
    size: tuple[int, int]
    status: Code | None = None


@dataclass(frozen=True)
class Members:
    """Probability of each member (members, H, W) float32; ``members`` is 0 when nothing was found before."""

    probability: npt.NDArray[np.float32]
    status: Code | None = None


@dataclass(frozen=True)
class Vote:
    """Mean probability and its entropy in bits (H, W) float32, and the mask (H, W): probability above 0.5."""

    probability: npt.NDArray[np.float32]
    entropy: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_]
    status: Code | None = None


def image_seed(image: Image, prompts: Sequence[str], base: int) -> int:
    """Return the seed of one image and prompt: a hash of pixels, prompts and base, whatever came before."""
    digest = hashlib.sha256(repr((image.shape, tuple(prompts), base)).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return int.from_bytes(digest.digest()[:6], "big")


class Method:
    """A bundle of models run with one set of settings."""

    def __init__(self, bundle: Bundle, settings: Settings | None = None) -> None:
        self.bundle = bundle
        self.settings = settings or bundle.settings

    def text(self, prompts: Sequence[str]) -> Tensor:
        """Return the embedding (D,) of several wordings of one thing: the unit mean of their unit rows.

        Raises PromptError (PROMPT-EMPTY, PROMPT-TOO-LONG).
        """
        check_prompts(prompts)
        return F.normalize(self.bundle.encoder.encode_text(prompts).mean(0), dim=0)

    def saliency(self, image: Image, text: Tensor, seed: int) -> Saliency:
        """Return one M2IB map per member, or TARGET-ABSENT. ``image`` is (H, W, 3) uint8, ``text`` (D,)."""
        settings = self.settings
        encoder = self.bundle.encoder
        tokens = encoder.tokens(image)
        if not isinstance(encoder, CalibratedEncoder):
            raise TypeError("this encoder knows no presence")
        agreement = encoder.similarity(tokens.values.unsqueeze(0), text).sigmoid()
        best = agreement.flatten().topk(max(1, round(settings.relevance_tokens * agreement.numel()))).values
        relevance = float(best.mean())
        if relevance < settings.relevance:
            empty = np.zeros((0, *tokens.values.shape[1:]), np.float32)
            return Saliency(empty, relevance, tokens.placement, Code.TARGET_ABSENT)
        seeds = [seed + member for member in range(settings.members)]
        features = tokens.values.expand(len(seeds), *tokens.values.shape)
        texts = text.expand(len(seeds), -1)
        passed = m2ib(encoder, features, texts, seeds, settings.saliency)
        # What passes where the tokens themselves disagree with the text speaks of something else. The papers
        # count it; on slices with many organs it then outweighs the one that is meant.
        maps = min_max(passed * agreement)
        return Saliency(maps.cpu().numpy(), relevance, tokens.placement)

    def coarse(self, saliency: Saliency) -> Coarse:
        """Binarise each member's map by Otsu and keep its confident components, or NO-COMPONENT."""
        size = (saliency.placement.height, saliency.placement.width)
        if saliency.status is not None:
            return Coarse((), size, saliency.status)
        settings = self.settings
        kept = []
        for member in range(len(saliency.maps)):
            pixels = saliency.on_pixels(member)
            found = components(otsu(pixels), pixels)
            kept.append(select(found, settings.confidence, settings.area, settings.components))
        return Coarse(tuple(kept), size, None if any(kept) else Code.NO_COMPONENT)

    def refine(self, image: Image, coarse: Coarse, seed: int) -> Members:
        """Give SAM one slightly jittered box per component; a member is the maximum over its components."""
        if coarse.status is not None:
            return Members(np.zeros((0, *coarse.size), np.float32), coarse.status)
        settings = self.settings
        prompts: list[VisualPrompt] = []
        owners: list[tuple[int, Component]] = []
        for member, kept in enumerate(coarse.components):
            rng = np.random.default_rng((seed, member))
            for component in kept:
                dx, dy = (float(shift) for shift in rng.uniform(-settings.jitter, settings.jitter, 2))
                boxes = (widen(component.box, m, (dx, dy), coarse.size) for m in settings.margins)
                prompts += map(VisualPrompt, boxes)
                owners.append((member, component))
        found = self.bundle.segmenter.decode(self.bundle.segmenter.embed(image), coarse.size, prompts)
        probability, quality = found.best()
        choices = len(settings.margins)
        best = quality.reshape(-1, choices).argmax(1) + choices * np.arange(len(owners))
        members = np.zeros((len(coarse.components), *coarse.size), np.float32)
        for (member, component), index in zip(owners, best, strict=True):
            refined = self._confirmed(component, probability[index], float(quality[index]))
            np.maximum(members[member], refined, out=members[member])
        return Members(members)

    def _confirmed(
        self, component: Component, probability: npt.NDArray[np.float32], quality: float
    ) -> npt.NDArray[np.float32]:
        """Return SAM's mask, or the component where SAM neither trusts itself nor agrees with it.

        The component then has the probability ``unconfirmed``: its entropy asks for a look.
        """
        mask = probability > THRESHOLD
        agreement = 2.0 * float((mask & component.mask).sum()) / max(1, int(mask.sum()) + component.area)
        if quality * agreement >= self.settings.trust:
            return probability
        return component.mask.astype(np.float32) * np.float32(self.settings.unconfirmed)

    def vote(self, members: Members) -> Vote:
        """Average the members; NO-MASK when no pixel is more likely inside than outside."""
        if members.status is not None:
            empty = np.zeros(members.probability.shape[1:], np.float32)
            return Vote(empty, empty, empty > THRESHOLD, members.status)
        agreement = agree(members.probability)
        mask = agreement.probability > THRESHOLD
        return Vote(agreement.probability, agreement.entropy, mask, None if mask.any() else Code.NO_MASK)
