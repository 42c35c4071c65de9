"""The archive that results go back to, and the site's configuration; each file has its own ``site``."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.config import Config, load_config
from tests.app.peers import Archive, archive


@pytest.fixture
def peer() -> Iterator[Archive]:
    with archive() as running:
        yield running


@pytest.fixture
def config(site: Path) -> Config:
    return load_config(site=site)
