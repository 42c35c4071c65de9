"""The evaluation around the real stages of models/method.py, with towers that need no weights."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.bundles.bundle import Bundle
from models.contracts import Candidates, ImageTokens
from models.errors import Code
from models.evaluation.dataset import open_dataset
from models.evaluation.run import evaluate
from models.evaluation.words import Case, reply_to, summarise
from models.method import Method
from models.placement import Placement
from tests.models.evaluation.folders import dataset, square

CELL = 4


class BrightEncoder:
    """Text is (1, 0) when it asks for what is bright, else (0, 1); a token's first feature is brightness."""

    def encode_text(self, prompts):
        return torch.stack([torch.tensor([1.0, 0.0] if "bright" in p else [0.0, 1.0]) for p in prompts])

    scale = 10.0

    def tokens(self, image):
        height, width = image.shape[:2]
        grey = torch.from_numpy(image[..., 0].astype(np.float32) / 255)[None, None]
        bright = F.avg_pool2d(grey, CELL)[0]
        values = torch.cat([4 * bright, 0.1 * torch.ones_like(bright)])
        return ImageTokens(values, Placement.whole(height, width, height // CELL, width // CELL))

    def preprocess(self, image):
        raise NotImplementedError

    encode_pixels = preprocess

    def finish(self, tokens):
        return F.normalize(tokens.mean((2, 3)), dim=1)

    def similarity(self, tokens, text):
        return (tokens[:, 0] - 2) * 4 * text[0] - 8 * text[1]


class BoxSegmenter:
    """The mask of a box is the box."""

    def embed(self, image):
        return torch.zeros(1, 1, 1)

    understands = frozenset({"boxes"})

    def decode(self, embedding, size, prompts, multimask=False):
        masks = np.zeros((len(prompts), 1, *size), np.float32)
        for mask, prompt in zip(masks, prompts, strict=True):
            x0, y0, x1, y1 = prompt.box
            mask[0, round(y0) : round(y1), round(x0) : round(x1)] = 0.9
        return Candidates(masks, np.ones((len(prompts), 1), np.float32))


@pytest.fixture
def method():
    return Method(Bundle("bright", "1", "ab" * 32, BrightEncoder(), BoxSegmenter(), ()))


def rows(folder, method, prompt):
    opened = open_dataset(folder)
    asked = {item.name: (prompt,) for item in opened.items}
    return [(scored.row, scored.stages) for scored, _ in evaluate(opened, asked, method)]


def test_what_is_asked_for_is_found_and_the_same_again(method, tmp_path):
    folder = dataset(tmp_path)
    found = rows(folder, method, "what is bright")
    assert [row.status for row, _ in found] == ["found"] * 3
    for row, stages in found:
        assert row.dsc > 0.5
        assert row.auc > 0.8
        assert 0 <= row.uncertainty <= 1
        assert stages.sam == row.dsc
        assert stages.map > 0.5
        assert stages.components > 0.5
    assert rows(folder, method, "what is bright") == found


def test_what_is_absent_is_not_found(method, tmp_path):
    for row, stages in rows(dataset(tmp_path), method, "a unicorn"):
        assert (row.status, row.code, row.dsc, row.auc) == ("nothing-found", Code.TARGET_ABSENT, 0, 0.5)
        assert (stages.map, stages.components, stages.sam) == (0, 0, 0)


def test_paraphrases_agree_and_nonsense_finds_nothing(method):
    image = np.repeat(square()[..., None], 3, axis=2)
    cases = [
        Case("a", "bright things", "paraphrase"),
        Case("a", "the bright part", "paraphrase"),
        Case("a", "a unicorn", "nonsense"),
    ]
    words = summarise(reply_to(cases, lambda _: image, lambda _: method))
    assert words.kinds["nonsense"].found == 0
    assert words.kinds["paraphrase"].found == 2
    assert words.agreement.mean > 0.8
