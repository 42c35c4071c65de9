"""``textseg run``: exit codes, report.json, and every file accounted for."""

import json
from datetime import UTC, datetime

import pydicom
import pytest

from app.config import load_config
from app.run import run
from models.errors import Code, ConfigError, PromptError
from tests.app.toy_bundle import toy_bundle
from tests.operators.synthetic import ROOT, phantom, radiograph, ultrasound, volume


@pytest.fixture(autouse=True)
def toy_models(monkeypatch):
    monkeypatch.setattr("models.bundles.bundle.load_bundle", toy_bundle)


@pytest.fixture
def config():
    return load_config()


def report(folder):
    return json.loads((folder / "report.json").read_text())


def test_every_series_that_passes_is_done_and_listed_with_files_and_seconds(tmp_path, config):
    volume(tmp_path / "in" / "ct")
    radiograph(tmp_path / "in" / "cr" / "x.dcm")
    (tmp_path / "in" / "LICENSE").write_text("free")
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 0
    content = report(tmp_path / "out")
    by_modality = {entry["modality"]: entry for entry in content["series"]}
    assert {entry["status"] for entry in content["series"]} == {"found"}
    for entry in content["series"]:
        assert len(entry["files"]) == 2
        assert all((tmp_path / "out" / name).is_file() for name in entry["files"])
        assert entry["seconds"]["saliency"] >= 0
        assert entry["code"] is None
    assert by_modality["CT"]["volume_ml"] > 0
    assert content["files"] == [
        {
            "file": "LICENSE",
            "status": "ignored",
            "code": "FILE-NOT-DICOM",
            "reason": content["files"][0]["reason"],
        }
    ]
    assert content["exit_code"] == 0


def test_each_phase_of_a_series_has_results_of_its_own(tmp_path, config):
    for number in (1, 2):

        def edit(image, index, number=number):
            image.AcquisitionNumber = number
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}.2.{number}.{index}"

        volume(tmp_path / "in" / str(number), edit=edit)
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 0
    one, other = report(tmp_path / "out")["series"]
    assert [one["phase"], other["phase"]] == ["AcquisitionNumber=1", "AcquisitionNumber=2"]
    assert one["series_instance_uid"] == other["series_instance_uid"] == f"{ROOT}.2"
    assert one["images"] == other["images"] == 6
    assert len(one["files"]) == len(other["files"]) == 2
    assert not set(one["files"]) & set(other["files"])


def test_a_volume_takes_no_results_from_the_pictures_of_its_study(tmp_path, config):
    volume(tmp_path / "in" / "ct", phantom(12))
    ultrasound(tmp_path / "in" / "us.dcm")
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 0
    files = {entry["modality"]: len(entry["files"]) for entry in report(tmp_path / "out")["series"]}
    assert files == {"CT": 2, "US": 2}


def test_a_single_file_is_an_input(tmp_path, config):
    assert run(radiograph(tmp_path / "x.dcm"), tmp_path / "out", None, "bright", config) == 0


def test_nothing_found_is_a_result(tmp_path, config):
    radiograph(tmp_path / "in" / "x.dcm")
    assert run(tmp_path / "in", tmp_path / "out", None, "a purple elephant", config) == 0
    (entry,) = report(tmp_path / "out")["series"]
    assert (entry["status"], entry["code"]) == ("nothing-found", "TARGET-ABSENT")


def test_some_refused_and_others_done_is_3_and_only_refused_is_1(tmp_path, config):
    volume(tmp_path / "in" / "ct")[2].unlink()
    assert run(tmp_path / "in", tmp_path / "one", None, "bright", config) == 1
    radiograph(tmp_path / "in" / "x.dcm")
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 3
    statuses = {
        entry["modality"]: (entry["status"], entry["code"]) for entry in report(tmp_path / "out")["series"]
    }
    assert statuses == {"CT": ("refused", "GEOMETRY-MISSING-SLICE"), "CR": ("found", None)}


def test_a_cut_slice_refuses_its_series(tmp_path, config, capsys):
    path = volume(tmp_path / "in")[1]
    path.write_bytes(path.read_bytes()[:-50])
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 1
    (entry,) = report(tmp_path / "out")["series"]
    assert entry["code"] == "FILE-TRUNCATED"
    assert path.name in entry["reason"]
    assert "FILE-TRUNCATED" in capsys.readouterr().err


def test_a_damaged_file_of_an_unknown_series_makes_it_3(tmp_path, config):
    radiograph(tmp_path / "in" / "x.dcm")
    path = ultrasound(tmp_path / "in" / "broken.dcm")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"PAT-7")])
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 3
    assert [note["status"] for note in report(tmp_path / "out")["files"]] == ["refused"]


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda folder: folder.mkdir(), "INPUT-EMPTY"),
        (lambda folder: (folder.mkdir(), (folder / "a.txt").write_text("no")), "FILE-NOT-DICOM"),
        (
            lambda folder: radiograph(folder / "x.dcm", edit=lambda image, _: delattr(image, "PixelData")),
            "PIXELS-MISSING",
        ),
        (
            lambda folder: radiograph(folder / "x.dcm", edit=lambda image, _: setattr(image, "Rows", 60000)),
            "FILE-TRUNCATED",
        ),
        (
            lambda folder: volume(folder, edit=lambda image, index: setattr(image, "PatientID", str(index))),
            "PATIENT-MIXED",
        ),
    ],
    ids=["empty", "not DICOM", "no pixels", "too large", "mixed patients"],
)
def test_bad_input_ends_with_1_and_a_code_in_the_report(tmp_path, config, prepare, code):
    prepare(tmp_path / "in")
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 1
    content = report(tmp_path / "out")
    found = {entry["code"] for entry in content["series"]} | {(content["error"] or {}).get("code")}
    assert code in found


@pytest.mark.parametrize("hostile", ["../../x", "1." * 32 + "1", "1.2\x003"])
def test_a_hostile_uid_is_refused_and_touches_no_path(tmp_path, config, hostile):
    path = radiograph(tmp_path / "in" / "x.dcm")
    image = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        image.SeriesInstanceUID = hostile
        image.save_as(path)
    assert run(tmp_path / "in", tmp_path / "out", None, "bright", config) == 1
    assert report(tmp_path / "out")["error"]["code"] == "UID-INVALID"
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"x.dcm", "report.json"}


@pytest.mark.parametrize(("words", "code"), [("  ", Code.PROMPT_EMPTY), ("x" * 10_000, Code.PROMPT_TOO_LONG)])
def test_a_wrong_prompt_is_told_before_anything_is_read(tmp_path, config, words, code):
    with pytest.raises(PromptError) as caught:
        run(tmp_path / "missing", tmp_path / "out", None, words, config)
    assert caught.value.code is code


def test_an_unknown_task_is_a_usage_error_that_names_the_known_ones(tmp_path, config):
    with pytest.raises(ConfigError, match="breast-mass"):
        run(tmp_path, tmp_path / "out", "no-such-task", None, config)


def test_a_task_of_the_configuration_takes_what_its_rule_takes(tmp_path, config):
    volume(tmp_path / "in" / "ct")
    ultrasound(tmp_path / "in" / "us.dcm")
    assert run(tmp_path / "in", tmp_path / "out", "breast-mass", None, config) == 0
    content = report(tmp_path / "out")
    assert [(entry["modality"], entry["task"]) for entry in content["series"]] == [("US", "breast-mass")]
    assert [entry["modality"] for entry in content["left_out"]] == ["CT"]


def test_no_matching_series_is_nothing_usable(tmp_path, config):
    volume(tmp_path / "in")
    assert run(tmp_path / "in", tmp_path / "out", "breast-mass", None, config) == 1
    assert report(tmp_path / "out")["error"]["code"] == "NO-SERIES-SELECTED"


def test_own_results_in_the_folder_are_not_processed_again(tmp_path, config):
    radiograph(tmp_path / "x.dcm")
    assert run(tmp_path, tmp_path, None, "bright", config) == 0
    first = sorted(path.name for path in tmp_path.iterdir())
    assert run(tmp_path, tmp_path, None, "bright", config) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == first
    assert len(report(tmp_path)["series"]) == 1
    assert {entry["code"] for entry in report(tmp_path)["left_out"]} == {"OWN-RESULT"}


def test_two_runs_over_one_folder_give_the_same_bytes(tmp_path, config):
    volume(tmp_path / "in")
    for name in ("1", "2"):
        assert run(tmp_path / "in", tmp_path / name, None, "bright", config) == 0
    for path in (tmp_path / "1").glob("*.dcm"):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_results_are_dated_by_the_last_file_of_the_study(tmp_path, config):
    path = radiograph(tmp_path / "in" / "x.dcm", series=f"{ROOT}.5")
    run(tmp_path / "in", tmp_path / "out", None, "bright", config)
    result = pydicom.dcmread(next((tmp_path / "out").glob("*-seg-*")))
    moment = datetime.fromtimestamp(int(path.stat().st_mtime), UTC).astimezone()
    assert result.ContentDate + result.ContentTime == moment.strftime("%Y%m%d%H%M%S")
