"""Seconds per stage of the method on one real CT slice: `make benchmark` prints them for this machine."""

import statistics
import time
from typing import TypeVar

import numpy as np
import pytest
import torch
from pydicom import dcmread
from rich.console import Console
from rich.table import Table

from app.demo.studies import ABDOMEN, packaged
from models.bundles.bundle import load_bundle
from models.contracts import Image
from models.intensity import choose_window, display
from models.method import Method

pytestmark = pytest.mark.slow
REPEATS = 5
CARD = torch.cuda.is_available()
Result = TypeVar("Result")


def slice_of_the_abdomen() -> Image:
    dataset = dcmread(packaged("data_store", "data", ABDOMEN))
    values = dataset.pixel_array.astype(np.float32) * float(dataset.RescaleSlope) + float(
        dataset.RescaleIntercept
    )
    return display(values, choose_window(values, "CT"))


@pytest.mark.parametrize(
    "device",
    ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not CARD, reason="no graphics card"))],
)
def test_seconds_per_stage_and_an_absent_target_costs_less(device: str) -> None:
    method, image = Method(load_bundle("lite", device=device)), slice_of_the_abdomen()
    seconds: dict[str, list[float]] = {}

    def timed(stage: str, result: Result, since: float) -> Result:
        seconds.setdefault(stage, []).append(time.perf_counter() - since)
        return result

    text, absent = method.text(["the liver"]), method.text(["sitting on a chair"])
    for repeat in range(REPEATS):
        own = image.copy()
        own[0, 0] = repeat  # other pixels: nothing is in the cache
        start = time.perf_counter()
        timed("image tower", method.bundle.segmenter.embed(own).cpu(), start)
        start = time.perf_counter()
        saliency = timed("saliency, 4 members", method.saliency(own, text, repeat), start)
        start = time.perf_counter()
        coarse = timed("coarse mask", method.coarse(image, saliency), start)
        start = time.perf_counter()
        members = timed("SAM", method.refine(own, coarse, repeat), start)
        start = time.perf_counter()
        vote = timed("vote", method.vote(members), start)
        assert vote.mask.any()
        start = time.perf_counter()
        timed("absent target", method.saliency(own, absent, repeat), start)
    medians = {stage: statistics.median(values) for stage, values in seconds.items()}
    table = Table(
        "stage", "seconds, median", title=f"lite on {device}, one CT slice of 512 x 512, {REPEATS} times"
    )
    for stage, median in medians.items():
        table.add_row(stage, f"{median:.3f}")
    Console().print(table)
    assert medians["absent target"] < medians["saliency, 4 members"] / 2
