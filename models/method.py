"""The method, stage by stage: text, saliency, coarse mask, SAM, vote. No other path leads to a mask.

Each stage takes what the one before returns (:mod:`models.stages`). MedCLIP-SAM and MedCLIP-SAMv2 differ in
their settings; SaLIP finds regions first and lets the text choose among them.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.bundles.bundle import Bundle
from models.contracts import CalibratedEncoder, Image, ImageTokens, LayeredEncoder, VisualPrompt
from models.device import computes_bfloat16
from models.ensemble.record import EnsembleRecord
from models.ensemble.vote import opened
from models.errors import Code
from models.masks.coarse import coarse_mask
from models.masks.components import Component
from models.masks.outline import outline, parts
from models.placement import Placement
from models.presets import preset
from models.prompts import check_prompts
from models.prompts.prototype import prototype
from models.saliency.gradcam import before_last_block, gradcam
from models.saliency.gscorecam import gscorecam
from models.saliency.m2ib import m2ib, min_max
from models.salip.salip import propose
from models.segmenters.prompts import ask, tight_box, visual_prompts
from models.settings import Settings
from models.stages import Coarse, Members, Saliency, Vote
from models.uncertainty import THRESHOLD, agree

DEFAULT = ("medclip-sam-v2", "recommended")


def image_seed(image: Image, prompts: Sequence[str], base: int) -> int:
    """Return the seed of one image and prompt: a hash of pixels, prompts and base, whatever came before."""
    digest = hashlib.sha256(repr((image.shape, tuple(prompts), base)).encode())
    digest.update(np.ascontiguousarray(image).tobytes())
    return int.from_bytes(digest.digest()[:6], "big")


class Method:
    """A bundle of models run with one set of settings."""

    def __init__(self, bundle: Bundle, settings: Settings | None = None) -> None:
        self.bundle = bundle
        self.settings = _computable(settings or preset(*DEFAULT, bundle.tuned), bundle.device)
        encoder = bundle.encoder
        if isinstance(encoder, LayeredEncoder):
            encoder = encoder.framed(self.settings.saliency.framing)
            if self.settings.saliency.layer is not None:
                encoder = encoder.cut(self.settings.saliency.layer)
        self.encoder = encoder

    def using(self, method: str, mode: str, overrides: Mapping[str, Any] | None = None) -> "Method":
        """Return the same models with another preset, perhaps changed. Raises ConfigError as preset does."""
        return Method(self.bundle, preset(method, mode, self.bundle.tuned, overrides))

    def voting(self, vote: bool) -> "Method":
        """Return the same method, whose bundle's checkpoint ensembles vote or do not."""
        return Method(self.bundle, self.settings.overridden({"ensemble": {"vote": vote}}))

    def text(self, prompts: Sequence[str]) -> Tensor:
        """Return the embedding (D,) of several wordings of one thing: the unit mean of their unit rows.

        Raises PromptError (PROMPT-EMPTY, PROMPT-TOO-LONG).
        """
        check_prompts(prompts)
        return prototype(self.encoder.encode_text(prompts))

    def saliency(self, image: Image, text: Tensor, seed: int) -> Saliency:
        """Return one map per member, or why there is none. ``image`` is (H, W, 3) uint8, ``text`` (D,).

        Raises ModelError (GRADIENT-ZERO) where a gradient method has nothing to go by.
        """
        tokens = self.encoder.tokens(image)
        agreement = self._agreement(tokens, text)
        relevance = None if agreement is None else self._relevance(agreement)
        if relevance is not None and relevance < self.settings.relevance:
            return _nothing(tokens.placement, relevance, Code.TARGET_ABSENT)
        if self.settings.method == "salip":
            return self._regions(image, text, relevance)
        maps = self._maps(image, tokens, text, seed)
        if agreement is None:
            return Saliency(maps.cpu().numpy(), relevance, tokens.placement)
        if self.settings.saliency.weigh:
            maps = min_max(maps * agreement)
        likely = agreement[0].cpu().numpy()
        return Saliency(maps.cpu().numpy(), relevance, tokens.placement, probability=likely)

    def _agreement(self, tokens: ImageTokens, text: Tensor) -> Tensor | None:
        """Probability (1, rows, columns) that the text names what lies there; None where nobody can say."""
        if not isinstance(self.encoder, CalibratedEncoder):
            return None
        return tokens.grid(self.encoder.similarity(tokens.values.unsqueeze(0), text)).sigmoid()

    def _relevance(self, agreement: Tensor) -> float:
        best = max(1, round(self.settings.relevance_tokens * agreement.numel()))
        return float(agreement.flatten().topk(best).values.mean())

    def _maps(self, image: Image, tokens: ImageTokens, text: Tensor, seed: int) -> Tensor:
        """Return (members, rows, columns) in [0, 1]; of a method without noise every member is the same."""
        settings, members = self.settings.saliency, self.settings.members
        if settings.method == "m2ib":
            seeds = [seed + member for member in range(members)]
            features = tokens.values.expand(members, *tokens.values.shape)
            passed = m2ib(self.encoder, features, text.expand(members, -1), seeds, settings.m2ib)
            return min_max(tokens.placement.without_padding(tokens.grid(passed)))
        if settings.method == "gscorecam":
            one = gscorecam(self.encoder, image, text, settings.gscorecam)
        else:
            last = before_last_block(self.encoder)
            one = gradcam(last, last.tokens(image), text)
        bounded = min_max(tokens.placement.without_padding(one.unsqueeze(0)))
        return bounded.expand(members, *one.shape)

    def _regions(self, image: Image, text: Tensor, relevance: float | None) -> Saliency:
        """SaLIP: segment everything, let the text choose; the map paints how well each region fits."""
        proposal = propose(self.bundle.segmenter, self.encoder, image, text, self.settings.salip)
        height, width = image.shape[:2]
        placement = Placement.whole(height, width, height, width)
        if proposal.code is not None:
            return _nothing(placement, relevance, proposal.code)
        maps = np.broadcast_to(proposal.map, (self.settings.members, height, width))
        return Saliency(maps, relevance, placement, None, proposal.components())

    def coarse(self, image: Image, saliency: Saliency) -> Coarse:
        """Binarise each member's map and keep its components, or NO-COMPONENT."""
        size = (saliency.placement.height, saliency.placement.width)
        if saliency.status is not None:
            return Coarse((), size, saliency.status)
        members = range(len(saliency.maps))
        if saliency.regions:
            return Coarse(tuple(saliency.regions for _ in members), size)
        kept = tuple(coarse_mask(saliency.on_pixels(m), image, self.settings.masks) for m in members)
        if not any(kept):
            return Coarse(kept, size, Code.NO_COMPONENT)
        return Coarse(kept, size, None, self._outline(image, saliency))

    def _outline(self, image: Image, saliency: Saliency) -> npt.NDArray[np.float32] | None:
        if saliency.probability is None or self.settings.visual.outline >= 1.0:
            return None
        likely = saliency.placement.on_pixels(torch.from_numpy(saliency.probability)[None])[0]
        return outline(image, likely, self.settings.masks.crf)

    def refine(self, image: Image, coarse: Coarse, seed: int) -> Members:
        """Prompt SAM with every component, slightly jittered; a member is the maximum over its components.

        Raises ModelError (PROMPT-KIND-UNSUPPORTED) for points to a segmenter that knows boxes only.
        """
        members = np.zeros((len(coarse.components), *coarse.size), np.float32)
        if coarse.status is not None:
            return Members(members, coarse.status)
        owned = [(m, component) for m, kept in enumerate(coarse.components) for component in kept]
        if self.settings.method == "salip" and not self.settings.salip.second_pass:
            answers: list[npt.NDArray[np.float32]] = [one.mask.astype(np.float32) for _, one in owned]
        else:
            answers = self._ask_sam(image, coarse, seed)
        for (member, _), answer in zip(owned, answers, strict=True):
            np.maximum(members[member], answer, out=members[member])
        return Members(members)

    def _ask_sam(self, image: Image, coarse: Coarse, seed: int) -> list[npt.NDArray[np.float32]]:
        """Return what stands for each component of each member, (H, W) probabilities in their order."""
        owned: list[Component] = []
        prompts: list[VisualPrompt] = []
        for member, kept in enumerate(coarse.components):
            rng = np.random.default_rng((seed, member))
            owned += kept
            prompts += chain(*visual_prompts([one.mask for one in kept], self.settings.visual, rng))
        segmenter, policy = self.bundle.segmenter, self.settings.visual.multimask
        probability, quality = ask(segmenter, segmenter.embed(image), coarse.size, prompts, policy)
        choices = len(prompts) // len(owned)
        best = quality.reshape(-1, choices).argmax(1) + choices * np.arange(len(owned))
        second = [None] * len(owned) if coarse.outline is None else parts(coarse.outline, owned, THRESHOLD)
        return [
            self._confirmed(component, probability[index], float(quality[index]), other)
            for component, index, other in zip(owned, best, second, strict=True)
        ]

    def _confirmed(
        self,
        component: Component,
        probability: npt.NDArray[np.float32],
        quality: float,
        outlined: npt.NDArray[np.float32] | None,
    ) -> npt.NDArray[np.float32]:
        """Return SAM's mask, the CRF's outline where that agrees better, or the component itself.

        The component stands, with the probability ``unconfirmed``, where SAM neither trusts itself nor agrees
        with it: its entropy asks for a look.
        """
        visual = self.settings.visual
        agreement = component.agreement(probability > THRESHOLD)
        if outlined is not None and component.agreement(outlined > THRESHOLD) > agreement + visual.outline:
            return outlined
        if quality * agreement >= visual.trust:
            return probability
        return component.mask.astype(np.float32) * np.float32(visual.unconfirmed)

    def vote(self, members: Members) -> Vote:
        """Average the members; NO-MASK when no pixel is more likely inside than outside."""
        if members.status is not None:
            return Vote.nothing(members.size, members.status)
        return Vote.of(agree(members.probability), len(members.probability))

    def ensemble_for(self, prompts: Sequence[str]) -> EnsembleRecord | None:
        """Return the checkpoint ensemble that votes on these wordings in the place of the method's members.

        None where the settings ask for none, and for every wording that no ensemble was trained for.
        """
        if not self.settings.ensemble.vote:
            return None
        return next(
            (one for one in self.bundle.ensembles if one.answers(prompts, self.settings.method)), None
        )

    def vote_by(
        self, ensemble: EnsembleRecord, images: Sequence[Image], found: Sequence[Members]
    ) -> list[Vote]:
        """Let an ensemble's checkpoints vote on images, each by what the method's own members found there.

        Where those found nothing there is nothing to vote about: a checkpoint knows its target, not words,
        and would mark something. Raises ModelError: MODEL-MISSING, MEMBER-INVALID.
        """
        marked = [np.any(one.probability > THRESHOLD, axis=0) for one in found]
        regions = [tight_box(mask) if mask.any() else None for mask in marked]
        ballots = opened(ensemble).predict(images, self.settings.ensemble, regions, self.bundle.device)
        return [
            Vote.nothing(own.size, own.status or Code.NO_MASK)
            if region is None
            else Vote.of(agreement, members)
            for own, region, (agreement, members) in zip(found, regions, ballots, strict=True)
        ]


def _computable(settings: Settings, device: str) -> Settings:
    """Return the settings as the device computes them: what is recorded is what was done."""
    if settings.ensemble.precision == "bf16" and not computes_bfloat16(device):
        return settings.overridden({"ensemble": {"precision": "fp32"}})
    return settings


def _nothing(placement: Placement, relevance: float | None, status: Code) -> Saliency:
    empty: npt.NDArray[np.float32] = np.zeros((0, placement.rows, placement.columns), np.float32)
    return Saliency(empty, relevance, placement, status)
