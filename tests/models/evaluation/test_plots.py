"""The pictures of calibration: vector graphics that say in words what they show."""

import base64
from xml.etree import ElementTree as ET

import numpy as np

from models.evaluation.calibration import calibration
from models.evaluation.plots import calibration_plots


def one_image():
    rng = np.random.default_rng(0)
    p = rng.random((60, 60)).astype(np.float32)
    return calibration(rng.random((60, 60)) < p, p > 0.5, p)


def test_there_is_a_reliability_diagram_and_an_error_retention_curve():
    diagram, curve = calibration_plots([one_image()])
    assert (diagram.title, curve.title) == ("reliability", "error retention")
    assert "0.9" in diagram.text
    assert "of the pixels are wrong" in curve.text
    for panel in (diagram, curve):
        kind, content = panel.uri.split(";base64,")
        assert kind == "data:image/svg+xml"
        assert ET.fromstring(base64.b64decode(content)).tag.endswith("svg")
        assert len(panel.uri) < 100_000


def test_the_same_figures_give_the_same_bytes():
    assert calibration_plots([one_image()]) == calibration_plots([one_image()])


def test_without_probabilities_there_are_no_pictures():
    assert calibration_plots([]) == ()
