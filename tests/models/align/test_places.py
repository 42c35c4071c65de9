"""Captions learn places from a head that is sure, and from no other."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from models.align.features import Features
from models.align.places import located
from models.encoders.lite import AlignmentHead
from models.encoders.tinyvit import PYRAMID_CHANNELS, TOKEN_SIDE

PRESENT = frozenset({"brain-tumour", "brain-tumour-glioma"})


class Brightness(AlignmentHead):
    """Says for every text how bright a token is, in logits."""

    def bottleneck(self, pyramid: Tensor) -> Tensor:
        return pyramid[:, :1]

    def unit_tokens(self, features: Tensor) -> Tensor:
        return features

    def logits(self, tokens: Tensor, text: Tensor) -> Tensor:
        return tokens


def encode(sentences: Sequence[str]) -> Tensor:
    return F.normalize(torch.ones(len(sentences), 384), dim=1)


def captioned(brightness: float) -> Features:
    pyramid = torch.full((PYRAMID_CHANNELS, TOKEN_SIDE, TOKEN_SIDE), -6.0)
    pyramid[0, 4:8, 10:14] = brightness
    pyramid[0, 30:] = 9.0
    return Features("brain_mr_captioned", "a", 0, 0, pyramid.half(), {}, PRESENT, frozenset(), 28, TOKEN_SIDE)


def test_every_concept_of_a_caption_gets_the_region_that_the_head_is_sure_of() -> None:
    (taught,) = located([captioned(5.0)], Brightness(), encode)
    assert set(taught.regions) == PRESENT
    region = taught.regions["brain-tumour"]
    assert region[4:8, 10:14].min() == 1.0
    assert region.sum() == 16.0


def test_padding_is_never_a_place() -> None:
    (taught,) = located([captioned(5.0)], Brightness(), encode)
    assert taught.regions["brain-tumour"][28:].sum() == 0.0


def test_what_the_head_doubts_stays_a_caption() -> None:
    item = captioned(1.0)
    assert located([item], Brightness(), encode) == [item]


@pytest.mark.parametrize(
    "changed", [{"present": frozenset()}, {"regions": {"brain-tumour": torch.ones(32, 32)}}]
)
def test_images_without_a_caption_or_with_a_place_are_left_alone(changed: dict[str, object]) -> None:
    item = replace(captioned(5.0), **changed)
    assert located([item], Brightness(), encode)[0] is item


def test_the_head_goes_on_in_the_mode_it_was_in() -> None:
    head = Brightness().train()
    located([captioned(5.0)], head, encode)
    assert head.training
