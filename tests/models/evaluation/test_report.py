import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from models.evaluation.dataset import open_dataset
from models.evaluation.report import Heading, build, to_json, write
from models.evaluation.run import evaluate
from models.evaluation.table import refusals_table, scores_table
from tests.models.evaluation.fake_method import FakeMethod
from tests.models.evaluation.folders import dataset, save

HEADING = Heading(
    bundle="fake",
    bundle_version="1.0",
    bundle_digest="ab" * 32,
    method="medclip-sam-v2",
    mode="recommended",
    prompt="what is bright",
    prompts=("what is bright",),
    task=None,
    ensemble="off",
    software_version="0.0",
    seed=0,
    nsd_tolerance_px=2.0,
    settings={"members": 4},
)
ROW_KEYS = ["name", "status", "code", "dsc", "nsd", "iou", "auc", "foreground_fraction", "uncertainty"]
CONTRACT_KEYS = {
    "schema_version",
    "bundle",
    "method",
    "mode",
    "prompt",
    "ensemble",
    "seconds_per_image",
    "summary",
    "images",
}


@pytest.fixture
def scored(tmp_path):
    folder = dataset(tmp_path / "set")
    (folder / "images" / "b.png").write_bytes(b"broken")
    opened = open_dataset(folder)
    prompts = {item.name: HEADING.prompts for item in opened.items}
    return [image for image, _ in evaluate(opened, prompts, FakeMethod())]


def test_the_report_has_the_keys_of_the_contract(scored):
    report = json.loads(to_json(build(HEADING, scored)))
    assert set(report) >= CONTRACT_KEYS
    assert isinstance(report["bundle"], str)
    assert [list(row) for row in report["images"]] == [ROW_KEYS] * 3
    assert [row["name"] for row in report["images"]] == ["a", "b", "c"]
    assert {"dsc", "nsd", "iou", "auc", "foreground_fraction", "uncertainty"} < set(report["summary"])


def test_the_summary_is_the_mean_of_the_rows_with_its_interval(scored):
    report = json.loads(to_json(build(HEADING, scored)))
    values = [row["dsc"] for row in report["images"]]
    assert values == [1, 0, 1]
    assert report["summary"]["dsc"]["mean"] == pytest.approx(2 / 3)
    low, high = report["summary"]["dsc"]["ci95"]
    assert 0 <= low <= 2 / 3 <= high <= 1
    assert report["summary"]["uncertainty"]["images"] == 2


def test_calibration_stands_in_the_summary_of_images_whose_probabilities_are_known(scored):
    summary = build(HEADING, scored)["summary"]
    assert summary["ece"]["mean"] == pytest.approx(0.1, abs=0.05)
    assert (summary["ece"]["images"], summary["aurc"]["images"]) == (2, 2)  # the third was refused
    without = build(HEADING, [replace(one, calibration=None) for one in scored])["summary"]
    assert not {"ece", "aurc"} & set(without)


def test_refused_images_carry_their_code_as_text(scored):
    report = json.loads(to_json(build(HEADING, scored)))
    assert report["images"][1]["status"] == "refused"
    assert report["images"][1]["code"] == "PIXELS-UNDECODABLE"
    assert report["counts"]["refused"] == 1


def test_the_stages_stand_beside_the_contract_and_not_inside_it(scored):
    report = build(HEADING, scored)
    assert set(report["stages"]) == {"map", "components", "sam"}
    assert report["stages"]["sam"]["dsc"]["mean"] == report["summary"]["dsc"]["mean"]


def test_nan_never_reaches_the_report(scored):
    report = build(HEADING, scored)
    report["seconds_per_image"] = math.nan
    with pytest.raises(ValueError):
        to_json(report)


def test_the_report_replaces_an_older_one_and_leaves_nothing_beside_it(tmp_path, scored):
    path = tmp_path / "out" / "report.json"
    path.parent.mkdir()
    path.write_text("old")
    write(path, build(HEADING, scored))
    assert json.loads(path.read_text())["schema_version"] == 1
    assert list(path.parent.iterdir()) == [path]


def rendered(table):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_the_table_shows_metrics_stages_and_counts(scored):
    text = " ".join(rendered(scores_table(HEADING, scored)).split())
    for expected in (
        "DSC",
        "NSD",
        "DSC after the map",
        "DSC after components",
        "DSC after SAM",
        "0.667",
        "1 refused",
    ):
        assert expected in text


def test_false_alarms_on_images_without_the_target_are_counted_in_report_and_table(tmp_path):
    folder = dataset(tmp_path / "set")
    save(folder / "masks" / "a.png", np.zeros((32, 32), dtype=np.uint8))
    opened = open_dataset(folder)
    prompts = {item.name: HEADING.prompts for item in opened.items}
    scored = [image for image, _ in evaluate(opened, prompts, FakeMethod())]
    counts = build(HEADING, scored)["counts"]
    assert (counts["target_absent"], counts["target_absent_and_found"]) == (1, 1)
    words = " ".join(rendered(scores_table(HEADING, scored)).split())
    assert "target absent on 1 images, found there all the same on 1" in words


def test_refused_images_are_listed_with_their_reason(scored):
    text = rendered(refusals_table(scored))
    assert "PIXELS-UNDECODABLE" in text
    assert refusals_table([scored[0]]) is None
