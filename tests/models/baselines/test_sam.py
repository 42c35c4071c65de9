"""SAM without a prompt, SAM with boxes from the truth, SAM and CLIP."""

import numpy as np
import pytest

from models.baselines import sam_clip
from models.baselines.registry import Options, baseline
from models.baselines.truth_boxes import TruthBoxes
from models.baselines.unprompted import Unprompted
from models.contracts import VisualPrompt
from models.errors import Code
from models.salip.settings import SalipSettings
from tests.models.baselines.stubs import Sam, context
from tests.models.toy import BoxSegmenter, ToyEncoder, picture

IMAGE = picture(20, 30, [(3, 4, 9, 12)])


def test_unprompted_is_one_empty_query() -> None:
    sam = Sam()
    mask = Unprompted().segment(IMAGE, context(sam))
    assert isinstance(mask, np.ndarray)
    assert sam.asked == [VisualPrompt()]
    assert mask.mean() == 0.5
    assert "no prompt" in Unprompted().statement(sam)


def test_a_segmenter_of_boxes_only_gets_the_box_of_the_image_and_the_report_says_so() -> None:
    """Its last corner is (width, height), also where the image is not square."""
    sam = Sam(understands=frozenset({"boxes"}))
    mask = Unprompted().segment(IMAGE, context(sam))
    assert isinstance(mask, np.ndarray)
    assert sam.asked == [VisualPrompt(box=(0.0, 0.0, 30.0, 20.0))]
    assert "box around the image" in Unprompted().statement(sam)


def test_truth_boxes_are_tight_one_per_component_and_joined() -> None:
    truth = np.zeros((20, 30), bool)
    truth[4:12, 3:9] = True
    truth[5, 20:25] = True
    sam = Sam()
    mask = TruthBoxes().segment(IMAGE, context(sam, truth=truth))
    assert [prompt.box for prompt in sam.asked] == [(3, 4, 9, 12), (20, 5, 25, 6)]
    assert (mask == truth).all()


def test_more_than_two_components_get_their_boxes() -> None:
    """SaLIP's released ground-truth mode is wrong for one box and for more than two."""
    truth = np.zeros((20, 30), bool)
    truth[1:4, [2, 3, 10, 11, 20, 21, 27]] = True
    assert (TruthBoxes().segment(IMAGE, context(Sam(), truth=truth)) == truth).all()


def test_an_empty_truth_gives_no_box() -> None:
    sam = Sam()
    empty = np.zeros((20, 30), bool)
    assert TruthBoxes().segment(IMAGE, context(sam, truth=empty)) == Code.NO_COMPONENT
    assert sam.asked == []


def test_truth_boxes_are_called_a_bound() -> None:
    assert TruthBoxes().statement(BoxSegmenter()).startswith("Bound, uses the truth")


def test_sam_clip_is_salip_without_the_second_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(sam_clip, "segment", lambda *given: calls.append(given) or Code.NO_REGION)
    here = context()
    one = baseline("sam-clip", Options(salip=SalipSettings(k=2, second_pass=True)))
    assert one.segment(IMAGE, here) == Code.NO_REGION
    [(segmenter, encoder, image, text, settings)] = calls
    assert (segmenter, encoder, text) == (here.segmenter, here.encoder, here.text)
    assert image is IMAGE
    assert settings == SalipSettings(k=2, second_pass=False)


def test_sam_clip_finds_what_is_bright_among_all_that_a_segmenter_of_boxes_proposes() -> None:
    """The whole path, nothing replaced: a grid of boxes, crops, scores, choice."""
    image = picture(64, 64, [(32, 0, 48, 16)])
    settings = SalipSettings(margin=0.0)
    here = context(text=ToyEncoder().encode_text(["bright"])[0])
    mask = baseline("sam-clip", Options(salip=settings)).segment(image, here)
    truth = np.zeros((64, 64), bool)
    truth[:16, 32:48] = True
    assert isinstance(mask, np.ndarray)
    assert mask[truth].any()
    assert not mask[~truth].any()
