import json
import os
import subprocess
import sys
from types import ModuleType

import pytest
import yaml
from typer.testing import CliRunner

from app.cli import app, exit_code
from app.config import load_config
from models.errors import Code, ConfigError, DatasetError, InputError, ModelError, PromptError, TextsegError

COMMANDS = (
    "serve",
    "listener",
    "worker",
    "run",
    "evaluate",
    "compare",
    "prompts",
    "captions",
    "explain",
    "check-config",
    "status",
    "retry",
    "send",
    "models",
    "version",
)
HEAVY = ("torch", "monai", "holoscan", "numpy", "pydicom", "dbos", "timm", "transformers")


@pytest.fixture
def command():
    runner = CliRunner()
    return lambda *arguments, env=None: runner.invoke(app, [str(a) for a in arguments], env=env)


@pytest.fixture
def stand_in(monkeypatch):
    """Replace a module that a command imports by functions that note their arguments."""

    def install(module, function, result=None):
        calls = []

        def noted(*arguments):
            calls.append(arguments)
            if isinstance(result, TextsegError):
                raise result
            return result

        replacement = ModuleType(module)
        setattr(replacement, function, noted)
        monkeypatch.setitem(sys.modules, module, replacement)
        return calls

    return install


def test_help_names_every_command(command):
    result = command("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert name in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_without_importing_its_work(command, name):
    assert command(name, "--help").exit_code == 0


def test_starting_up_imports_nothing_heavy_and_takes_less_than_a_second():
    code = (
        "import sys, time; begin = time.process_time()\n"
        "from app.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(time.process_time() - begin, file=sys.stderr)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)\n"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        took, imported = done.stderr.splitlines()[-2:]
        assert imported == "[]"
        seconds.append(float(took))
    assert min(seconds) < 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("no-such-command",),
        ("run",),
        ("run", "/no/such/folder", "/tmp/x"),
        ("evaluate", "/no/such/folder"),
        ("evaluate", "/tmp", "--ensemble", "maybe"),
        ("check-config", "--config", "/no/such/file.yaml"),
    ],
)
def test_wrong_usage_exits_with_2(command, arguments):
    result = command(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_run_takes_a_task_or_a_prompt_but_not_both(command, tmp_path):
    result = command("run", tmp_path, tmp_path / "out", "--task", "t", "--prompt", "p")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "--task and --prompt" in result.stderr


@pytest.mark.parametrize("code", [0, 1, 3])
def test_run_exits_with_what_the_run_returns(command, stand_in, tmp_path, code):
    calls = stand_in("app.run", "run", code)
    result = command("run", tmp_path, tmp_path / "out", "--prompt", "the liver")
    assert result.exit_code == code
    ((given, out, task, prompt, config),) = calls
    assert (given, out, task, prompt) == (tmp_path, tmp_path / "out", None, "the liver")
    assert config.tasks


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConfigError(Code.CONFIG_INVALID, "x"), 2),
        (PromptError(Code.PROMPT_EMPTY, "x"), 2),
        (PromptError(Code.PROMPT_TOO_LONG, "x"), 2),
        (TextsegError(Code.USAGE, "x"), 2),
        (InputError(Code.INPUT_EMPTY, "x"), 1),
        (DatasetError(Code.DATASET_INVALID, "x"), 1),
        (ModelError(Code.MODEL_HASH_MISMATCH, "x"), 1),
    ],
)
def test_errors_exit_with_2_when_the_request_is_wrong_and_with_1_otherwise(error, expected):
    assert exit_code(error) == expected


def test_an_error_is_one_line_on_stderr_with_its_code(command, stand_in, tmp_path):
    stand_in("app.run", "run", InputError(Code.INPUT_EMPTY, "/in: no DICOM file in it"))
    result = command("run", tmp_path, tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr == "textseg: INPUT-EMPTY: /in: no DICOM file in it\n"
    assert result.stdout == ""


def test_an_error_that_nobody_raised_on_purpose_keeps_its_traceback(command, stand_in, tmp_path, monkeypatch):
    stand_in("app.run", "run")
    monkeypatch.setattr(sys.modules["app.run"], "run", lambda *_: {}["a bug"])
    result = command("run", tmp_path, tmp_path / "out")
    assert isinstance(result.exception, KeyError)
    assert result.exit_code == 1


def test_evaluate_hands_over_every_option(command, stand_in, tmp_path):
    calls = stand_in("app.evaluate", "evaluate", 0)
    result = command(
        "evaluate",
        tmp_path,
        *(
            "--task",
            "t",
            "--prompt",
            "p",
            "--method",
            "m",
            "--mode",
            "o",
            "--bundle",
            "b",
            "--ensemble",
            "off",
        ),
        *("--save-masks", tmp_path / "masks", "--report", tmp_path / "report.json", "--json"),
        *("--layout", "hc18", "--prompt-task", "lung-ct", "--kind", "P4", "--baseline", "universeg"),
        *("--support", tmp_path, "--shots", "4", "--weights", tmp_path / "weights.pt"),
        *("--command", "proto --fast", "--nsd-slab", "--ablation", "prompts", "--suite", tmp_path),
        *("--work", tmp_path / "work", "--with", "medsam=a", "--with", "fine-tuned=b"),
        *("--html", tmp_path / "page.html"),
    )
    assert result.exit_code == 0, result.output
    request, _ = calls[0]
    assert vars(request) == {
        "dataset": tmp_path,
        "layout": "hc18",
        "prompt_task": "lung-ct",
        "kind": "P4",
        "baseline": "universeg",
        "support": tmp_path,
        "shots": 4,
        "weights": tmp_path / "weights.pt",
        "command": "proto --fast",
        "nsd_slab": True,
        "ablation": "prompts",
        "suite": tmp_path,
        "work": tmp_path / "work",
        "roles": ("medsam=a", "fine-tuned=b"),
        "html": tmp_path / "page.html",
        "task": "t",
        "prompt": "p",
        "method": "m",
        "mode": "o",
        "bundle": "b",
        "ensemble": False,
        "save_masks": tmp_path / "masks",
        "report": tmp_path / "report.json",
        "as_json": True,
    }


def test_the_ensemble_is_left_to_the_task_where_the_option_is_not_given(command, stand_in, tmp_path):
    calls = stand_in("app.evaluate", "evaluate", 0)
    command("evaluate", tmp_path)
    command("evaluate", tmp_path, "--ensemble", "on")
    assert [request.ensemble for request, _ in calls] == [None, True]


def test_the_configuration_comes_from_the_option_or_the_environment(command, stand_in, tmp_path):
    calls = stand_in("app.run", "run", 0)
    for name in ("option", "environment"):
        (tmp_path / f"{name}.yaml").write_text(f"listener: {{ae_title: {name.upper()}}}\n")
    environment = {"TEXTSEG_CONFIG": str(tmp_path / "environment.yaml")}
    command("run", tmp_path, tmp_path / "out", env=environment)
    command("run", tmp_path, tmp_path / "out", "--config", tmp_path / "option.yaml", env=environment)
    assert [config.listener.ae_title for *_, config in calls] == ["ENVIRONMENT", "OPTION"]


@pytest.mark.parametrize("name", ["serve", "listener", "worker"])
def test_the_service_is_started_with_the_configuration(command, stand_in, name):
    calls = stand_in("app.serve", name)
    assert command(name).exit_code == 0
    assert len(calls) == 1
    assert calls[0][0].tasks


def test_check_config_prints_what_holds_and_warns_of_what_is_probably_not_meant(command, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("listener: {ae_title: ELSEWHERE, host: localhost}\n")
    result = command("check-config", "--config", site)
    assert result.exit_code == 0
    printed = yaml.safe_load(result.stdout)
    assert printed["listener"]["ae_title"] == "ELSEWHERE"
    assert "chest-lungs" in [task["name"] for task in printed["tasks"]]
    assert "warning: listener.host" in result.stderr


def test_check_config_names_the_unknown_key_and_exits_with_2(command, tmp_path):
    site = tmp_path / "site.yaml"
    site.write_text("listener: {prot: 104}\n")
    result = command("check-config", "--config", site)
    assert result.exit_code == 2
    assert "prot" in result.stderr
    assert "site.yaml" in result.stderr


def test_version_is_that_of_the_packaged_configuration(command):
    version = load_config().application.version

    assert command("version").stdout == f"textseg {version}\n"
    assert json.loads(command("version", "--json").stdout) == {"textseg": version}


def test_the_module_can_be_started_without_the_installed_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert "evaluate" in done.stdout
