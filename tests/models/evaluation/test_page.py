import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import chain

import numpy as np
import pytest
from PIL import Image as Pillow

from models.evaluation.answer import Answer, Stages
from models.evaluation.calibration import calibration
from models.evaluation.page import Case, evaluation_page, ranked, write_page
from models.evaluation.panels import MASK, SIDE, TRUTH, panels
from models.evaluation.run import Row, Scored, StageScores
from tests.models.evaluation.test_report import HEADING

TITLES = ("image", "saliency", "coarse", "SAM", "vote", "uncertainty")


def blob(low, high, shape=(300, 600)):
    mask = np.zeros(shape, dtype=bool)
    mask[low:high, low:high] = True
    return mask


@pytest.fixture
def answer():
    mask = blob(60, 160)
    soft = mask.astype(np.float32)
    return Answer("found", None, Stages(mask, mask, mask), soft, 0.2, soft / 2, mask)


def row(name, dsc, status="found", code=None):
    return Row(name, status, code, dsc, dsc, dsc, dsc, 0.1, 0.2)


def case(name, dsc):
    return Case(row(name, dsc), ())


def scored(one):
    return Scored(one.row, StageScores(0.1, 0.2, 0.3), one.name, 0.5, False, None)


def pixels(panel):
    return np.asarray(Pillow.open(io.BytesIO(base64.b64decode(panel.uri.split(",")[1]))), dtype=int)


def near(picture, colour):
    return int((np.abs(picture - colour).sum(-1) < 150).sum())


def test_a_case_shows_image_saliency_coarse_mask_sam_vote_uncertainty_and_the_truth(answer):
    image = np.full((300, 600, 3), 128, np.uint8)
    shown = panels(image, blob(100, 220), answer)
    assert tuple(panel.title for panel in shown) == TITLES
    for panel in shown:
        assert pixels(panel).shape == (SIDE // 2, SIDE, 3)
    assert near(pixels(shown[0]), TRUTH) == near(pixels(shown[0]), MASK) == 0
    for panel in shown[1:]:
        assert near(pixels(panel), TRUTH) > 40
    assert near(pixels(shown[4]), MASK) > 40


def test_pictures_are_small(answer):
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (2000, 3000, 3), dtype=np.uint8)
    big = np.zeros((2000, 3000), dtype=bool)
    found = Answer("found", None, Stages(big, big, big), big.astype(np.float32), None)
    assert all(len(panel.uri) < 60_000 for panel in panels(image, big, found))


def test_an_image_that_could_not_be_read_still_shows_the_truth(answer):
    (only,) = panels(None, blob(60, 160), answer)
    assert "could not be read" in only.text


def test_best_median_and_worst_come_first_and_no_case_twice():
    cases = [case(f"c{index:02}", index / 20) for index in range(20)] + [case("absent", None)]
    groups = {group.title: [one.name for one in group.cases] for group in ranked(cases)}
    assert list(groups) == [
        "Best cases",
        "Median cases",
        "Worst cases",
        "All other cases",
        "Cases without the target",
    ]
    assert groups["Best cases"] == ["c19", "c18", "c17"]
    assert groups["Worst cases"] == ["c00", "c01", "c02"]
    assert set(groups["Median cases"]) <= {f"c{index:02}" for index in range(7, 13)}
    names = list(chain.from_iterable(groups.values()))
    assert sorted(names) == sorted(one.name for one in cases)


@pytest.mark.parametrize("count", range(1, 9))
def test_few_cases_are_shown_once_each(count):
    cases = [case(f"c{index}", index / 10) for index in range(count)]
    names = [one.name for group in ranked(cases) for one in group.cases]
    assert sorted(names) == sorted(one.name for one in cases)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def read(content):
    parser = Tags()
    parser.feed(content)
    return parser.found


@pytest.fixture
def content(answer):
    image = np.full((300, 600, 3), 128, np.uint8)
    hostile = "<script>alert(1)</script>"
    cases = [Case(row(hostile, 0.5), panels(image, blob(60, 160), answer)), case("plain", 0.25)]
    return evaluation_page(HEADING, [scored(one) for one in cases], cases)


def test_the_page_is_one_file_without_scripts_links_or_requests(content):
    tags = read(content)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not any(name.startswith("on") for name in attributes)
        assert re.match(
            r"data:image/(jpeg|svg\+xml);base64,", attributes.get("src", "data:image/jpeg;base64,")
        )
    assert "http" not in re.sub(r"base64,[^\"]+", "", content)


def test_the_page_shows_calibration_where_probabilities_are_known(content):
    assert "reliability diagram" not in content
    one = case("a", 0.5)
    mask = blob(60, 160)
    judged = replace(scored(one), calibration=calibration(mask, mask, mask * np.float32(0.8)))
    shown = evaluation_page(HEADING, [judged], [one])
    assert "reliability diagram" in shown
    assert "error-retention curve" in shown


def test_what_a_file_is_called_is_shown_and_never_run(content):
    assert "&lt;script&gt;" in content


def test_the_page_can_be_read_aloud_and_in_the_dark(content):
    tags = read(content)
    assert ("html", {"lang": "en"}) in tags
    assert all(attributes.get("alt") for tag, attributes in tags if tag == "img")
    assert all("scope" in attributes for tag, attributes in tags if tag == "th")
    assert {"caption", "figcaption", "main", "h1", "h2"} <= {tag for tag, _ in tags}
    assert "prefers-color-scheme: dark" in content
    assert "Research use, not for diagnosis." in content


def test_the_page_states_scores_prompt_and_tolerance(content):
    assert "what is bright" in content
    assert "0.375" in content
    assert "NSD of 2-D contours at 2 pixels" in content


def test_a_page_is_written_to_a_file_or_into_a_folder(tmp_path):
    assert write_page(tmp_path / "new" / "mine.html", "x").read_text() == "x"
    assert write_page(tmp_path / "folder", "y") == tmp_path / "folder" / "report.html"
