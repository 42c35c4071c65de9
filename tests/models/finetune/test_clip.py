"""Fine-tuning of a small BiomedCLIP: all of it or the projections, and back into its own format."""

from dataclasses import replace

import pytest
import torch

from models.encoders.biomedclip import OPEN_CLIP, PORT, BiomedClip
from models.encoders.checkpoint import read_state
from models.encoders.text import TextBatch, padded
from models.finetune.clip import PROJECTIONS, ClipTowers
from models.finetune.recipe import WHOLE_MODEL
from models.finetune.train import fine_tune
from tests.models.encoders.random_clip import small_biomedclip
from tests.models.finetune.toy import coloured

RECIPE = replace(WHOLE_MODEL, epochs=1, batch=5, rate=1e-3)


@pytest.fixture(scope="module")
def captions(tmp_path_factory):
    return coloured(tmp_path_factory.mktemp("pairs"), 8)


def moved(before, after):
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_everything_learns(captions, tmp_path):
    model = ClipTowers(small_biomedclip(), OPEN_CLIP)
    before = model.state()
    fine_tune(model, captions, RECIPE, tmp_path)
    assert {name.split(".")[0] for name in moved(before, model.state())} == {"vision", "text"}
    assert len(moved(before, model.state())) > 0.9 * len(before)


def test_with_frozen_towers_only_the_projections_learn(captions, tmp_path):
    model = ClipTowers(small_biomedclip(), OPEN_CLIP, freeze=True)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    fine_tune(model, captions, RECIPE, tmp_path)
    changed = moved(before, model.state_dict())
    assert changed == set(model.state())
    assert changed
    assert all(name.startswith(PROJECTIONS) for name in changed)


@pytest.mark.parametrize("names", [OPEN_CLIP, PORT])
def test_the_weights_load_again_as_the_encoder_they_were_trained_as(captions, tmp_path, names):
    encoder = small_biomedclip()
    outcome = fine_tune(ClipTowers(encoder, names), captions, RECIPE, tmp_path)
    architecture = encoder.vision.architecture, encoder.text.architecture
    loaded = BiomedClip.from_state(read_state(outcome.weights), encoder.tokenizer, 1, "fit", *architecture)
    assert loaded.scale == pytest.approx(encoder.scale)
    if outcome.best.epoch == len(outcome.epochs) - 1:
        again = BiomedClip.from_state(encoder.state(names), encoder.tokenizer, 1, "fit", *architecture)
        torch.testing.assert_close(
            loaded.encode_text(["a scan"]), again.encode_text(["a scan"]), rtol=0.0, atol=1e-6
        )


def test_a_caption_longer_than_the_text_tower_reads_loses_its_last_words():
    encoder = small_biomedclip()

    def short(prompts) -> TextBatch:
        return padded([[ord(letter) for letter in prompt] for prompt in prompts], 20)

    encoder.tokenizer = short
    model = ClipTowers(encoder, OPEN_CLIP).eval()
    rows = model.text_rows(["one two three four five six", "one two three four"])
    assert torch.allclose(rows[0], rows[1])


def test_rows_equal_those_of_the_encoder(captions):
    encoder = small_biomedclip()
    model = ClipTowers(encoder, OPEN_CLIP).eval()
    said = [pair.caption for pair in captions.pairs]
    with torch.no_grad():
        assert torch.allclose(model.text_rows(said), encoder.encode_text(said), atol=1e-5)
