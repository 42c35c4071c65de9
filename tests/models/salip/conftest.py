"""A SAM that lists the regions it was given, for every test of SaLIP."""

import pytest

from models.contracts import Image
from models.salip import salip, search
from models.segmenters.everything import EverythingSettings, Region
from tests.models.salip.stubs import ListedSegmenter


def listed(segmenter: ListedSegmenter, image: Image, settings: EverythingSettings) -> tuple[Region, ...]:
    """Return what the stub proposes."""
    segmenter.asked.append(settings)
    return segmenter.regions


@pytest.fixture(autouse=True)
def _sam_that_lists_its_regions(monkeypatch: pytest.MonkeyPatch) -> None:
    for room in (salip, search):
        monkeypatch.setattr(room, "segment_everything", listed)
