"""A bundle of toy models, opened in place of the real one: asked for 'bright', it finds what is."""

from models.bundles.bundle import Bundle
from models.bundles.record import ModelRecord
from tests.models.toy import BoxSegmenter, ToyEncoder

RECORD = ModelRecord("ToyEncoder", "1", "cd" * 32, "Apache-2.0", "tests/models/toy.py")


def toy_bundle(*_: object) -> Bundle:
    """Take whatever load_bundle takes."""
    return Bundle("toy", "1.0", "ab" * 32, ToyEncoder(), BoxSegmenter(), (RECORD,))
