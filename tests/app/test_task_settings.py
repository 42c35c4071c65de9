"""A task's own settings: checked before a study needs them, and part of what a result is."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest
import yaml
from typer.testing import CliRunner

from app.application import RunContext, provenance_of, run_task
from app.cli import app
from app.config import load_config
from app.worker import load_graph
from models.errors import Code, ConfigError
from models.method import Method
from operators.task import prompt_task
from tests.app.tasks import TASK
from tests.app.toy_bundle import toy_bundle
from tests.operators.synthetic import ROOT, volume

SERIES = f"{ROOT}.2"
FOUND = {"salip": {"area": [0.0, 0.3], "everything": {"points_per_side": 8}}}


@pytest.fixture
def site(tmp_path):
    def write(settings):
        path = tmp_path / "site.yaml"
        path.write_text(yaml.safe_dump({"tasks": [{**TASK, "method": "salip", "settings": settings}]}))
        return path

    return write


def check(path):
    return CliRunner().invoke(app, ["check-config", "--config", str(path)])


def test_check_config_takes_settings_of_the_method_and_prints_them(site):
    result = check(site(FOUND))
    assert result.exit_code == 0, result.output
    assert yaml.safe_load(result.stdout)["tasks"][0]["settings"] == FOUND


@pytest.mark.parametrize("settings", [{"slaip": {}}, {"salip": {"area": "all"}}, {"members": 1}])
def test_check_config_refuses_others_and_names_the_task(site, settings):
    result = check(site(settings))
    assert result.exit_code == 2
    assert result.stderr.startswith("textseg: CONFIG-INVALID: task mass: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["method", "mode"])
def test_a_preset_is_named_by_the_task_and_not_under_its_settings(site, name):
    with pytest.raises(ConfigError, match=name):
        load_config(site=site({name: "salip"}))


def test_a_worker_does_not_start_with_settings_that_the_method_does_not_have(site):
    with pytest.raises(ConfigError, match="slaip"):
        load_graph(load_config(site=site({"slaip": {}})))


def test_reading_a_configuration_with_settings_imports_no_torch(site):
    code = "import sys; from app.config import load_config; load_config(); print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"TEXTSEG_CONFIG": str(site(FOUND)), "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.stdout.strip() == "False"


def test_the_settings_hold_in_the_run_and_make_it_another_result(tmp_path):
    volume(tmp_path / "in")
    context = RunContext(Method(toy_bundle()), datetime(2026, 3, 1, 11, 30, 5, tzinfo=UTC), "0.1.0")
    plain = prompt_task("bright")
    blind = plain.model_copy(update={"settings": {"masks": {"binarise": "fixed", "threshold": 1.0}}})

    first = run_task(tmp_path / "in", tmp_path / "plain", SERIES, plain, context)
    other = run_task(tmp_path / "in", tmp_path / "blind", SERIES, blind, context)

    assert (first.status, other.status, other.code) == ("found", "nothing-found", Code.NO_COMPONENT)
    assert not set(first.sop_instance_uids) & set(other.sop_instance_uids)


def test_the_settings_are_recorded(tmp_path):
    context = RunContext(
        Method(toy_bundle()).using("medclip-sam-v2", "recommended", {"members": 7}),
        datetime(2026, 3, 1, tzinfo=UTC),
        "0.1.0",
    )
    assert provenance_of(prompt_task("bright"), context).configuration("auto")["members"] == 7
