import json

import pytest
from typer.testing import CliRunner

import app.evaluate
from app.cli import app as commands
from models.method import Method
from tests.app.toy_bundle import toy_bundle
from tests.models.evaluation.folders import dataset


@pytest.fixture
def command(monkeypatch):
    monkeypatch.setattr(app.evaluate, "load_method", lambda _bundle, _config: Method(toy_bundle()))
    runner = CliRunner()
    return lambda *arguments: runner.invoke(commands, [str(argument) for argument in arguments])


def test_an_ablation_prints_every_row_and_writes_json_and_html_and_resumes(command, tmp_path):
    folder = dataset(tmp_path / "set")
    options = ("--prompt", "bright", "--ablation", "segmenter", "--work", tmp_path / "work")
    outputs = ("--report", tmp_path / "table.json", "--html", tmp_path / "table.html")
    first = command("evaluate", folder, *options, *outputs)
    assert first.exit_code == 0, first.output
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert len(rows) == 10
    (scored,) = (row for row in rows if row["scores"])
    assert scored["label"] == "the bundle's own, boxes"
    assert all(row["not_available"]["set"] for row in rows if row is not scored)
    page = (tmp_path / "table.html").read_text()
    assert page.count("not available: ") == 9
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()}
    again = command("evaluate", folder, *options, "--json")
    assert json.loads(again.stdout)["rows"] == rows
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").iterdir()} == kept


def test_a_suite_runs_methods_and_baselines_on_every_data_set(command, tmp_path):
    for name in ("one", "two"):
        dataset(tmp_path / "sets" / name, ("a", "b"))
        (tmp_path / "sets" / name / "prompts.csv").write_text("name,prompt\na,bright\nb,bright\n")
    result = command("evaluate", "--suite", tmp_path / "sets", "--work", tmp_path / "work", "--json")
    assert result.exit_code == 0, result.output
    content = json.loads(result.stdout)
    assert content["datasets"] == ["one", "two"]
    rows = {row["label"]: row for row in content["rows"]}
    assert len(rows) == 18
    assert set(rows["Zero-shot: MedCLIP-SAMv2"]["scores"]) == {"one", "two"}
    assert set(rows["Bound: SAM with truth boxes (uses labels)"]["scores"]) == {"one", "two"}
    assert set(rows["Weakly supervised: nnU-Net"]["not_available"]) == {"one", "two"}


def test_a_support_set_that_is_evaluated_is_refused(command, tmp_path):
    folder = dataset(tmp_path / "set")
    options = ("--prompt", "bright", "--baseline", "self-prompt-sam", "--support", folder)
    result = command("evaluate", folder, *options)
    assert result.exit_code == 1
    assert "learnt from" in result.stderr


def test_a_suite_whose_data_set_asks_nothing_is_refused(command, tmp_path):
    dataset(tmp_path / "sets" / "one")
    result = command("evaluate", "--suite", tmp_path / "sets", "--work", tmp_path / "work")
    assert result.exit_code == 2
    assert "one: nothing is asked" in result.stderr


def test_one_data_set_or_a_suite_but_not_both_or_neither(command, tmp_path):
    folder = dataset(tmp_path / "set")
    for arguments in ((), (folder, "--suite", folder)):
        result = command("evaluate", *arguments)
        assert result.exit_code == 2
        assert "either one data set or --suite" in result.stderr


def test_a_baseline_and_the_method_are_compared_on_the_same_images(command, tmp_path):
    folder = dataset(tmp_path / "set")
    for name, options in (("method", ()), ("bound", ("--baseline", "sam-truth-boxes"))):
        path = tmp_path / f"{name}.json"
        done = command("evaluate", folder, "--prompt", "bright", "--report", path, *options)
        assert done.exit_code == 0, done.output
    assert "No labels" not in done.stdout
    reports = (tmp_path / "method.json", tmp_path / "bound.json")
    shown = command("compare", *reports, "--json")
    assert shown.exit_code == 0, shown.output
    (one,) = json.loads(shown.stdout)["comparisons"]
    assert one["difference"]["images"] == 3
    assert "after Holm" in " ".join(command("compare", *reports).stdout.split())
    assert command("compare", *reports, "--metric", "f1").exit_code == 2
    assert command("compare", *reports, reports[1]).exit_code == 2


def test_a_page_with_every_case_is_written_on_request(command, tmp_path):
    folder = dataset(tmp_path / "set")
    (folder / "images" / "b.png").write_bytes(b"broken")
    result = command("evaluate", folder, "--prompt", "bright", "--html", tmp_path / "pages", "--nsd-slab")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "pages" / "report.html").read_text()
    assert page.count("<details") == 3
    assert "could not be read" in page


def test_prompts_are_listed_shown_and_asked_for(command):
    listed = json.loads(command("prompts", "list", "--json").stdout)
    assert "breast-tumour-us" in [one["task"] for one in listed]
    assert "breast-tumour-us" in command("prompts", "list").stdout
    shown = command("prompts", "show", "breast-tumour-us", "P5", "--subtype", "malignant")
    assert len(shown.stdout.splitlines()) == 20
    question = command("prompts", "template", "--target", "glioma", "--modality", "brain MRI").stdout
    assert (
        question == "Give a sentence caption that describes unique visual features of glioma in brain MRI.\n"
    )
    assert command("prompts", "show", "breast-tumour-us", "P9").exit_code == 2


def test_captions_become_a_table(command, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "R.jpg").write_bytes(b"")
    (tmp_path / "captions.txt").write_text("R\tA chest X-ray\n")
    result = command("captions", "roco", tmp_path, tmp_path / "pairs.csv")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "pairs.csv").read_text().startswith("image,caption,patient\n")
