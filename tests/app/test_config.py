"""The configuration: defaults that load, a site file that overrides them, errors that say where and what."""

from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from app.config import PACKAGED, SITE_VARIABLE, Config, check, effective, load_config
from models.errors import Code, ConfigError


@pytest.fixture(autouse=True)
def _no_site_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SITE_VARIABLE, raising=False)


def site(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(site=path)
    assert caught.value.code is Code.CONFIG_INVALID
    return caught.value.message


def test_packaged_defaults_load_and_state_the_fixed_timings() -> None:
    config = load_config()
    assert config.study.quiet == timedelta(seconds=60)
    assert config.study.at_most == timedelta(minutes=15)
    assert config.study.max_study_age == timedelta(days=2)
    assert config.models.bundle == "lite"
    assert {"breast-mass", "brain-tumour", "chest-lungs", "ct-lungs", "liver"} == {
        t.name for t in config.tasks
    }


def test_packaged_defaults_are_reachable_from_this_computer_only() -> None:
    config = load_config()
    assert config.listener.host == "127.0.0.1"
    assert config.listener.calling_aes == ("PACS",)


def test_packaged_file_serves_as_site_file_too() -> None:
    assert load_config(site=PACKAGED) == load_config()


def test_working_directory_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = load_config()
    monkeypatch.chdir(tmp_path)
    assert load_config() == here


def test_site_file_merges_sections_and_replaces_lists(tmp_path: Path) -> None:
    path = site(tmp_path, "listener: {port: 104, calling_aes: [CT1, MR2]}\nstudy: {quiet: 5 s}\ntasks: []\n")
    config = load_config(site=path)
    assert config.listener.port == 104
    assert config.listener.ae_title == load_config().listener.ae_title
    assert config.listener.calling_aes == ("CT1", "MR2")
    assert config.study.quiet == timedelta(seconds=5)
    assert config.tasks == ()


def test_site_file_is_found_by_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SITE_VARIABLE, str(site(tmp_path, "listener: {port: 105}\n")))
    assert load_config().listener.port == 105


def test_relative_paths_are_relative_to_the_file_that_states_them(tmp_path: Path) -> None:
    path = site(tmp_path, "storage: {root: state}\nmodels: {directory: weights}\n")
    config = load_config(site=path)
    assert config.storage.root == (tmp_path / "state").resolve()
    assert config.models.directory == (tmp_path / "weights").resolve()


def packaged_task() -> dict[str, object]:
    task = yaml.safe_load(PACKAGED.read_text(encoding="utf-8"))["tasks"][0]
    assert isinstance(task, dict)
    return task


def site_task(**changes: object) -> str:
    return str(yaml.safe_dump({"tasks": [packaged_task() | changes]}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("listener:\n  prot: 104\n", ["site.yaml:2", "listener.prot", "unknown key"]),
        ("study:\n  quiet: 60\n", ["site.yaml:2", "study.quiet", "number and a unit", "15 min"]),
        ("study: {quiet: 20 min}\n", ["site.yaml:1", "study", "at_most is shorter than quiet"]),
        ("listener: {ae_title: 'A\\B'}\n", ["listener.ae_title", "AE title"]),
        ("listener: {calling_aes: []}\n", ["listener.calling_aes", "at least 1 item"]),
        ("listener: {port: 70000}\n", ["listener.port", "65535"]),
        ("storage: {reserve: 12}\n", ["storage.reserve", "500 MB"]),
        ("tasks:\n  - name: x\n", ["site.yaml:2", "tasks[0].targets", "missing"]),
        (site_task(when={"tags": {"SliceThicknes": {"max": 3}}}), ["'SliceThicknes' is no keyword"]),
        (site_task(when={"tags": {"ImageType": "("}}), ["when.tags.ImageType", "not a regular expression"]),
        (site_task(when={"tags": {"SliceThickness": {"min": 3, "max": 1}}}), ["min 3.0 is above max 1.0"]),
        (
            site_task(when={"orientation": "oblique"}),
            ["when.orientation", "'axial', 'coronal' or 'sagittal'"],
        ),
        (site_task(when={"best": ["nicest"]}), ["when.best[0]", "'most-images'"]),
        (site_task(window="lungs"), ["tasks[0].window", "'lung'"]),
        (site_task(maps=["variance"]), ["tasks[0].maps[0]", "'mutual-information'"]),
        (site_task(maps=["saliency", "saliency"]), ["tasks[0].maps", "twice"]),
        (site_task(maps=[]), ["tasks[0].maps", "at least 1"]),
        (site_task(window={"centre": 40, "width": 0}), ["window", "greater than 0"]),
        (site_task(window={"centre": 40}), ["window", "width", "is missing"]),
        (site_task(window={"percentiles": [99, 1]}), ["window", "percentile 99 is not below 1"]),
        ("- a\n- b\n", ["site.yaml", "sections"]),
        ("listener: [\n", ["site.yaml", "is not YAML"]),
    ],
)
def test_error_names_file_line_key_and_remedy(tmp_path: Path, text: str, expected: list[str]) -> None:
    message = refused(site(tmp_path, text))
    for part in expected:
        assert part in message


def test_missing_site_file_is_a_configuration_error(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "absent.yaml")


def test_destination_must_be_a_listed_ae(tmp_path: Path) -> None:
    task = packaged_task() | {"destinations": [{"ae": "NOWHERE"}]}
    assert "'NOWHERE', which aes: does not list" in refused(site(tmp_path, yaml.safe_dump({"tasks": [task]})))


def test_two_tasks_of_one_name_are_refused(tmp_path: Path) -> None:
    tasks = [packaged_task(), packaged_task()]
    assert "two tasks are called 'breast-mass'" in refused(site(tmp_path, yaml.safe_dump({"tasks": tasks})))


@pytest.mark.parametrize("prompt", ["", "   ", "x" * 10_000])
def test_empty_and_endless_prompts_are_refused(tmp_path: Path, prompt: str) -> None:
    task = packaged_task()
    targets = task["targets"]
    assert isinstance(targets, list)
    targets[0]["prompts"] = [prompt]
    assert "prompt of" in refused(site(tmp_path, yaml.safe_dump({"tasks": [task]})))


def test_effective_configuration_is_a_site_file_with_the_same_meaning(tmp_path: Path) -> None:
    config = load_config(site=site(tmp_path, "study: {quiet: 7 s}\nstorage: {root: /srv/textseg}\n"))
    assert load_config(site=site(tmp_path, effective(config))) == config


def test_check_points_at_what_is_allowed_but_probably_not_meant(tmp_path: Path) -> None:
    task = packaged_task() | {"destinations": [{"ae": "PACS", "accepts": ["SEG"]}]}
    content = {"tasks": [task]}
    problems = "\n".join(check(load_config(site=site(tmp_path, yaml.safe_dump(content)))))
    assert "this computer only" in problems
    assert "makes PM, which no destination accepts" in problems


def test_maps_of_which_no_parametric_map_is_made_are_pointed_at(tmp_path: Path) -> None:
    config = load_config(site=site(tmp_path, site_task(outputs=["seg"], maps=["saliency"])))
    assert any("names maps, but not pm" in problem for problem in check(config))
    assert not any("names maps" in problem for problem in check(load_config()))


def test_task_is_found_by_name_and_its_absence_is_explained() -> None:
    config: Config = load_config()
    assert config.task("liver").name == "liver"
    with pytest.raises(ConfigError, match="there is no task 'spleen'; the configuration has: breast-mass"):
        config.task("spleen")


def test_rules_and_windows_of_a_task_survive_the_effective_configuration(tmp_path: Path) -> None:
    when = {
        "tags": {"SliceThickness": {"max": 3}, "ConvolutionKernel": "^B[23]"},
        "not_tags": {"ImageType": "LOCALIZER"},
        "orientation": "axial",
        "best": ["thinnest-slices"],
    }
    for window in ("lung", {"centre": 50, "width": 350}, {"percentiles": [1, 99]}):
        config = load_config(site=site(tmp_path, site_task(when=when, window=window)))
        assert load_config(site=site(tmp_path, effective(config))) == config
