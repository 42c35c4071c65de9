"""The method on a graphics card finds what it finds on the processor; where there is none, these skip."""

from functools import cache

import numpy as np
import pytest
import torch

from models.bundles.bundle import load_bundle
from models.contracts import Image
from models.ensemble.export import Purpose, export
from models.ensemble.train import prepare, train
from models.ensemble.vote import CheckpointEnsemble
from models.evaluation.metrics import dice
from models.method import Method
from models.stages import Vote
from models.uncertainty import THRESHOLD
from tests.benchmarks.test_stages import slice_of_the_abdomen
from tests.models.ensemble.folder import ensemble
from tests.models.ensemble.small import RECIPE, SIZE, discs

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no graphics card"),
]


@cache
def method(device: str) -> Method:
    return Method(load_bundle("lite", device=device)).voting(False)


def answer(device: str, image: Image, prompt: str) -> Vote:
    one = method(device)
    saliency = one.saliency(image, one.text([prompt]), 0)
    return one.vote(one.refine(image, one.coarse(image, saliency), 0))


def test_the_method_marks_what_it_marks_on_the_processor() -> None:
    image = slice_of_the_abdomen()
    here, there = (answer(device, image, "the liver") for device in ("cpu", "cuda"))
    assert here.mask.any()
    overlap = dice(there.mask, here.mask)
    assert overlap is not None
    assert overlap >= 0.98
    assert (
        answer("cuda", image, "sitting on a chair").status
        == answer("cpu", image, "sitting on a chair").status
    )


def test_members_answer_as_on_the_processor(tmp_path) -> None:
    voters = CheckpointEnsemble(ensemble(tmp_path))
    images = [one.image for one in discs(3)]
    for (here, asked), (there, _) in zip(
        voters.predict(images), voters.predict(images, device="cuda"), strict=True
    ):
        assert asked == 3
        assert np.abs(here.probability - there.probability).max() < 5e-3


def test_a_network_learns_there_within_a_budget(tmp_path) -> None:
    size, recipe = prepare(discs(), tmp_path / "work", RECIPE, SIZE, 6.0, "cuda")
    assert recipe.iterations >= 1
    trained = train(tmp_path / "work", size, recipe, "cuda", lambda *_: None)
    purpose = Purpose("discs", ("bright",), "truth", None, {})
    record = export(trained, discs(), purpose, tmp_path / "out", "cuda")
    assert len(record.members) == RECIPE.cycles.cycles
    one = discs(1)[0]
    ((agreed, _),) = CheckpointEnsemble(record).predict([one.image], device="cuda")
    assert (dice(agreed.probability > THRESHOLD, one.mask) or 0.0) > 0.5
