"""Places for captions: where a head that is already taught finds what a caption says the image shows.

A caption teaches that a tumour is somewhere. Where the head is sure, what it finds becomes a soft region of
that image (self-training); everything the head is not sure of stays a caption.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from models.align.concepts import vocabulary
from models.align.features import Features
from models.encoders.lite import AlignmentHead
from models.prompts.prototype import prototype

SURE = 0.9
"""The mean probability of the best tokens above which a head's region is believed."""

BEST = 10
DOUBT = (0.3, 0.8)
"""Below the first probability a token is outside, above the second inside, between them partly so."""


@torch.no_grad()
def located(
    features: Sequence[Features], head: AlignmentHead, encode: Callable[[Sequence[str]], Tensor]
) -> list[Features]:
    """Return the features, with regions for the captions that ``head`` is sure of; its mode is kept."""
    training = head.training
    head.eval()
    texts: dict[str, Tensor] = {}
    taught = []
    for item in features:
        concept = min(item.present, key=len) if item.present and not item.regions else None
        if concept is None:
            taught.append(item)
            continue
        if concept not in texts:
            rows = head.text(encode(vocabulary()[concept].trained).clone())
            texts[concept] = prototype(rows)
        taught.append(_with_place(item, head, texts[concept]))
    head.train(training)
    return taught


def _with_place(item: Features, head: AlignmentHead, text: Tensor) -> Features:
    """Give every concept of a caption the one region that its general name has, where the head is sure."""
    tokens = head.unit_tokens(head.bottleneck(item.pyramid.float().unsqueeze(0)))
    probability = head.logits(tokens, text[None, None])[0, 0].sigmoid()
    probability[item.rows :] = 0.0
    probability[:, item.columns :] = 0.0
    if float(probability.flatten().topk(BEST).values.mean()) < SURE:
        return item
    low, high = DOUBT
    region = ((probability - low) / (high - low)).clamp(0.0, 1.0)
    return replace(item, regions=dict.fromkeys(item.present, region))
