"""The lite head's projections on stored features, with towers of random weights."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image as Pillow
from safetensors.torch import load_file

from models.encoders.lite import AlignmentHead, LiteEncoder
from models.encoders.tinyvit import PYRAMID_CHANNELS, TOKEN_SIDE, Encoding, placement_of
from models.errors import Code, DatasetError
from models.evaluation.dataset import read_image
from models.finetune.lite import LiteProjections
from models.finetune.recipe import PROJECTION
from models.finetune.train import fine_tune
from tests.models.finetune.toy import coloured


class Tower:
    """A pyramid that repeats the image's colours; counts its passes."""

    def __init__(self) -> None:
        self.passes = 0

    def encode(self, image) -> Encoding:
        self.passes += 1
        colour = torch.from_numpy(image.astype(np.float32) / 255.0).mean((0, 1))
        pyramid = colour.repeat(PYRAMID_CHANNELS // 3)[:, None, None].expand(-1, TOKEN_SIDE, TOKEN_SIDE)
        return Encoding(pyramid.half(), torch.zeros(1), placement_of(*image.shape[:2]))

    def state_dict(self):
        return {"tower": torch.ones(1)}


class Words:
    """One direction per caption."""

    def __call__(self, sentences: Sequence[str]) -> torch.Tensor:
        rows = [
            torch.randn(384, generator=torch.Generator().manual_seed(len(s) + 7 * sum(map(ord, s))))
            for s in sentences
        ]
        return F.normalize(torch.stack(rows), dim=1)


@pytest.fixture
def encoder():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        head = AlignmentHead()
    return LiteEncoder(Tower(), Words(), head)


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    return coloured(tmp_path_factory.mktemp("pairs"), 12)


def quiet(done, total):
    pass


def test_rows_equal_those_of_the_encoder(encoder, captions, tmp_path):
    model = LiteProjections(encoder, tmp_path)
    images = [pair.image for pair in captions.pairs[:3]]
    wide = tmp_path / "wide.png"
    Pillow.fromarray(np.random.default_rng(0).integers(0, 255, (20, 64, 3), np.uint8)).save(wide)
    images.append(wide)
    model.prepare(images, quiet)
    model.eval()
    with torch.no_grad():
        rows = model.image_rows(images)
        expected = [encoder.finish(encoder_tokens(encoder, image)) for image in images]
        said = [pair.caption for pair in captions.pairs]
        assert torch.allclose(model.text_rows(said), encoder.encode_text(said), atol=1e-6)
    assert torch.allclose(rows, torch.cat(expected), atol=1e-3)


def encoder_tokens(encoder, path):
    return encoder.tokens(read_image(path)).values.unsqueeze(0)


def test_only_the_projections_learn(encoder, captions, tmp_path):
    model = LiteProjections(encoder, tmp_path)
    fine_tune(model, captions, replace(PROJECTION, epochs=2, batch=5), tmp_path / "run")
    for name, values in encoder.head.state_dict().items():
        learns = name.startswith(("project.", "words."))
        assert torch.equal(model.weights()[name], values) is not learns, name
    assert not any(parameter.requires_grad for parameter in encoder.head.parameters())


def test_features_are_computed_once_per_image_and_kept(encoder, captions, tmp_path):
    images = [pair.image for pair in captions.pairs]
    LiteProjections(encoder, tmp_path).prepare(images, quiet)
    assert encoder.tower.passes == len(images)
    again = LiteProjections(encoder, tmp_path, fresh=3)
    told = []
    again.prepare(images, lambda *done: told.append(done))
    assert encoder.tower.passes == len(images)
    assert told[-1] == (len(images), len(images))


def test_another_context_has_features_of_its_own(encoder, captions, tmp_path):
    images = [pair.image for pair in captions.pairs[:2]]
    LiteProjections(encoder, tmp_path).prepare(images, quiet)
    other = LiteEncoder(encoder.tower, encoder.text_tower, AlignmentHead())
    LiteProjections(other, tmp_path).prepare(images, quiet)
    assert encoder.tower.passes == 4


def test_fresh_projections_depend_on_their_seed_alone(encoder, tmp_path):
    torch.manual_seed(1)
    first = LiteProjections(encoder, tmp_path, fresh=5)
    torch.manual_seed(2)
    assert first.identity == LiteProjections(encoder, tmp_path, fresh=5).identity
    assert first.identity != LiteProjections(encoder, tmp_path, fresh=6).identity
    assert torch.equal(first.head.context[0].weight, encoder.head.context[0].weight)


def test_the_weights_are_a_whole_head(encoder, captions, tmp_path):
    recipe = replace(PROJECTION, epochs=1, batch=5)
    outcome = fine_tune(LiteProjections(encoder, tmp_path), captions, recipe, tmp_path / "run")
    AlignmentHead().load_state_dict(load_file(outcome.weights))


def test_an_image_that_broke_after_the_table_was_read_is_an_error(encoder, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DatasetError) as caught:
        LiteProjections(encoder, tmp_path).prepare([broken], quiet)
    assert caught.value.code is Code.PIXELS_UNDECODABLE
