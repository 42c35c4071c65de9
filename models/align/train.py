"""Training of the alignment head on stored features: where each text is meant, and where it is not.

Three terms, one sum. DHN-NCE draws a region's embedding to the text that names it and away from the batch's
other texts; pairs of one concept are masked from each other's negatives. The dense term says the same at
every token: cross-entropy and Dice between calibrated similarity and the region. The third compares an
image with a caption that has no place: the best tokens speak for the image.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from models.align.concepts import LESIONS, denials, nothing_trained, vocabulary
from models.align.features import Features, standardisation
from models.align.places import located
from models.encoders.lite import AlignmentHead
from models.encoders.tinyvit import TOKEN_SIDE
from models.losses import dhn_nce

NOTHING, DENIAL = "nothing", "denial"

RIM = 16.0
"""Tokens around the smallest region, which count beside ``crowd``."""


@dataclass(frozen=True)
class Recipe:
    """What a phase of training depends on beside its data.

    ``texts`` are asked of each image, at most ``shown`` of them about what it shows and at
    least ``nothing`` and ``denials`` that name nothing; ``draws`` is the number
    of images of each set per epoch, where it has so many; ``silent_weight`` multiplies images that show no
    concept. The tokens outside a region weigh together as if they were at most ``crowd`` times as many as
    those inside: with all of them (None), the outline of a small lesion costs nothing. ``taught``: captioned
    images learn places from the head that enters the phase (:mod:`models.align.places`).
    """

    epochs: int = 20
    batch: int = 16
    texts: int = 10
    shown: int = 3
    nothing: int = 2
    denials: int = 0
    rate: float = 2e-3
    decay: float = 0.02
    text_noise: float = 0.02
    channel_noise: float = 0.1
    silent_weight: int = 2
    crowd: float | None = None
    taught: bool = False
    contrast: float = 0.1
    best_tokens: int = 12
    seed: int = 0
    draws: tuple[tuple[str, int], ...] = (
        ("breast_ultrasound", 170),
        ("brain_mr", 110),
        ("chest_xray", 110),
        ("totalsegmentator", 80),
        ("chest_ct", 50),
        ("mni152", 30),
        ("brain_mr_volume", 30),
        ("ct_organs", 8),
        ("brain_mr_unlabelled", 110),
        ("chest_xray_covid", 30),
    )


LESIONS_FIRST = Recipe()
"""First phase: where lesions and lungs lie, and when to be silent."""

ORGANS_THEN = Recipe(
    epochs=14,
    texts=18,
    shown=8,
    nothing=3,
    denials=3,
    rate=1.5e-3,
    contrast=0.3,
    seed=1,
    draws=(
        ("breast_ultrasound", 60),
        ("brain_mr", 60),
        ("chest_xray", 30),
        ("totalsegmentator", 60),
        ("chest_ct", 24),
        ("mni152", 16),
        ("brain_mr_volume", 20),
        ("ct_organs", 5),
        ("brain_mr_unlabelled", 32),
        ("chest_xray_covid", 10),
    ),
)
"""Second phase: tell the organs of one slice apart, which takes many texts about the same image."""

OUTLINES_LAST = Recipe(
    epochs=10,
    rate=1e-3,
    contrast=0.3,
    denials=2,
    crowd=3.0,
    taught=True,
    seed=2,
    draws=(
        ("breast_ultrasound", 140),
        ("breast_ultrasound_zoomed", 100),
        ("brain_mr", 100),
        ("brain_mr_zoomed", 60),
        ("chest_xray", 60),
        ("totalsegmentator", 50),
        ("chest_ct", 30),
        ("mni152", 10),
        ("brain_mr_volume", 10),
        ("ct_organs", 5),
        ("brain_mr_unlabelled", 40),
        ("brain_mr_captioned", 130),
        ("chest_xray_covid", 10),
    ),
)
"""Third phase: outlines, also of what is small, and the captioned tumours where the head now finds them."""

PHASES = (LESIONS_FIRST, ORGANS_THEN, OUTLINES_LAST)


@dataclass(frozen=True)
class Batch:
    """One step's worth: pyramid (B, 864, 32, 32), sentences (B, K, 384), and per text what is known of it.

    ``target`` (B, K, 32, 32) is the coverage; ``located`` (B, K) is true where it is known token by token;
    ``shown`` (B, K) is true where the image shows the concept; ``concepts`` names it; ``inside`` (B, 1, 32,
    32) marks image.
    """

    pyramid: Tensor
    sentences: Tensor
    target: Tensor
    located: Tensor
    shown: Tensor
    inside: Tensor
    concepts: list[list[str]]


class Sentences:
    """Embeddings of all trained wordings, drawn at random and mixed."""

    def __init__(self, encode: Callable[[Sequence[str]], Tensor]) -> None:
        self.rows = {concept: encode(words.trained).clone() for concept, words in vocabulary().items()}
        self.rows[NOTHING] = encode(nothing_trained()).clone()
        self.rows[DENIAL] = encode(denials()).clone()

    def draw(self, concept: str, rng: random.Random, noise: float) -> Tensor:
        """Return one sentence embedding (384,) of a concept; half of the time the mixture of two wordings."""
        rows = self.rows[concept]
        row = rows[rng.randrange(len(rows))]
        if concept not in (NOTHING, DENIAL) and rng.random() < 0.5:
            weight = rng.random()
            row = weight * row + (1.0 - weight) * rows[rng.randrange(len(rows))]
        return F.normalize(row + noise * torch.randn(row.shape), dim=0)


def _choose_texts(item: Features, recipe: Recipe, rng: random.Random) -> list[str]:
    shown = sorted(set(item.regions) | item.present)
    chosen = rng.sample(shown, min(len(shown), recipe.shown))
    absent = sorted(item.absent - set(item.regions) - item.present)
    lesions = [concept for concept in absent if concept in LESIONS]
    chosen += rng.sample(lesions, min(len(lesions), 1 if shown else 2))
    others = [concept for concept in absent if concept not in chosen]
    free = recipe.texts - len(chosen) - recipe.nothing - recipe.denials
    chosen += rng.sample(others, min(len(others), free)) + [DENIAL] * recipe.denials
    return chosen + [NOTHING] * (recipe.texts - len(chosen))


def assemble(items: Sequence[Features], sentences: Sentences, recipe: Recipe, rng: random.Random) -> Batch:
    """Draw texts for each image and collect what is known about every pair."""
    texts = [_choose_texts(item, recipe, rng) for item in items]
    size = (len(items), recipe.texts)
    target = torch.zeros(*size, TOKEN_SIDE, TOKEN_SIDE)
    located, shown = torch.ones(size, dtype=torch.bool), torch.zeros(size, dtype=torch.bool)
    inside = torch.zeros(len(items), 1, TOKEN_SIDE, TOKEN_SIDE)
    for i, item in enumerate(items):
        inside[i, :, : item.rows, : item.columns] = 1.0
        for k, concept in enumerate(texts[i]):
            if concept in item.regions:
                target[i, k] = item.regions[concept]
                shown[i, k] = True
            elif concept in item.present:
                located[i, k] = False
                shown[i, k] = True
    rows = [torch.stack([sentences.draw(c, rng, recipe.text_noise) for c in chosen]) for chosen in texts]
    # Channels last from the start: the convolutions want it so, and turning a batch costs as much as they do.
    pyramid = torch.stack([item.pyramid.permute(1, 2, 0) for item in items]).permute(0, 3, 1, 2).float()
    return Batch(pyramid, torch.stack(rows), target, located, shown, inside, texts)


def _dense(logits: Tensor, batch: Batch, crowd: float | None) -> Tensor:
    """Balanced cross-entropy and Dice where the text is shown and its place is known."""
    inside, target = batch.inside, batch.target
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none") * inside
    outside_weight = (1.0 - target) * inside
    positive = (entropy * target).sum((2, 3)) / target.sum((2, 3)).clamp_min(1.0)
    outside = outside_weight.sum((2, 3)).clamp_min(1.0)
    if crowd is not None:
        outside = torch.minimum(outside, crowd * target.sum((2, 3)) + RIM)
    negative = (entropy * outside_weight).sum((2, 3)) / outside
    probability = logits.sigmoid() * inside
    overlap = 2.0 * (probability * target).sum((2, 3)) + 1.0
    dice = 1.0 - overlap / (probability.sum((2, 3)) + target.sum((2, 3)) + 1.0)
    region = (batch.shown & batch.located).float()
    return (region * (0.5 * positive + negative + dice)).sum() / region.sum().clamp_min(1.0)


def _present(logits: Tensor, batch: Batch, best: int) -> Tensor:
    """Cross-entropy between whether the image shows a text and its best tokens.

    Most absent texts are easily quiet: those that are still loud weigh more.
    """
    quiet = logits.masked_fill(batch.inside == 0, -20.0)
    loudest = quiet.flatten(2).topk(best).values.mean(2)
    loss = F.binary_cross_entropy_with_logits(loudest, batch.shown.float(), reduction="none")
    shown = batch.shown.float()
    hidden = (1.0 - shown) * (0.05 + loudest.detach().sigmoid())
    return (loss * shown).sum() / shown.sum().clamp_min(1.0) + (loss * hidden).sum() / hidden.sum()


def _contrast(tokens: Tensor, text: Tensor, batch: Batch) -> Tensor:
    """DHN-NCE between regions and the texts that name them, mean per pair; every shown region is one."""
    images, texts, names = [], [], []
    for i in range(len(tokens)):
        for k in torch.nonzero(batch.shown[i] & batch.located[i]).flatten().tolist():
            weight = batch.target[i, k]
            images.append(F.normalize((tokens[i] * weight).sum((1, 2)), dim=0))
            texts.append(text[i, k])
            names.append(batch.concepts[i][k])
    if len(images) < 2:
        return tokens.sum() * 0.0
    same = torch.tensor([[_related(a, b) for b in names] for a in names])
    return dhn_nce(torch.stack(images), torch.stack(texts), same) / len(images)


def _related(first: str, second: str) -> bool:
    """Whether two concepts name the same thing: equal, or a lesion and its kind."""
    return first.startswith(second) or second.startswith(first)


def _epoch_order(features: Sequence[Features], recipe: Recipe, rng: random.Random) -> list[Features]:
    order: list[Features] = []
    for origin, count in recipe.draws:
        own = [item for item in features if item.origin == origin]
        # Images of the right organ without the target are few and teach most about silence.
        own += [item for item in own if not item.regions and not item.present] * (recipe.silent_weight - 1)
        order += rng.sample(own, min(count, len(own)))
    rng.shuffle(order)
    return order


def _untrained(features: Sequence[Features], recipe: Recipe) -> AlignmentHead:
    head = AlignmentHead()
    drawn = {origin for origin, _ in recipe.draws}
    mean, deviation = standardisation(i for i in features if i.variant == 0 and i.origin in drawn)
    head.mean.copy_(torch.from_numpy(mean))
    head.deviation.copy_(torch.from_numpy(deviation))
    return head


def train(
    features: Sequence[Features],
    encode: Callable[[Sequence[str]], Tensor],
    recipe: Recipe,
    progress: Callable[[int, float], None],
    initial: AlignmentHead | None = None,
    bf16: bool = False,
) -> AlignmentHead:
    """Train one head, from ``initial`` where it is given; with ``bf16`` convolutions compute in bfloat16.

    ``encode`` is the frozen text tower; ``progress`` is told each epoch and its mean loss. The result depends
    on features, recipe, ``initial`` and nothing else on one machine with one number of threads.
    """
    torch.manual_seed(recipe.seed)
    rng = random.Random(recipe.seed)  # noqa: S311, it draws training examples
    head = initial or _untrained(features, recipe)
    if recipe.taught:
        features = located(features, head, encode)
    sentences = Sentences(encode)
    optimiser = torch.optim.AdamW(head.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    steps = sum(count for _, count in recipe.draws) // recipe.batch * recipe.epochs
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.rate, total_steps=steps + recipe.epochs, pct_start=0.15
    )
    # A fifth less time on a CPU than with channels first.
    head.to(memory_format=torch.channels_last).train()
    for epoch in range(recipe.epochs):
        order = _epoch_order(features, recipe, rng)
        losses = []
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            batch = assemble(order[start : start + recipe.batch], sentences, recipe, rng)
            gain = 1.0 + recipe.channel_noise * torch.randn(*batch.pyramid.shape[:2], 1, 1)
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                tokens = head.unit_tokens(head.bottleneck(batch.pyramid * gain)).float()
            text = head.text(batch.sentences.flatten(0, 1)).unflatten(0, batch.sentences.shape[:2])
            logits = head.logits(tokens, text)
            loss = _dense(logits, batch, recipe.crowd) + 0.5 * _present(logits, batch, recipe.best_tokens)
            loss = loss + recipe.contrast * _contrast(tokens, text, batch)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        progress(epoch, sum(losses) / max(1, len(losses)))
    return head.eval()
