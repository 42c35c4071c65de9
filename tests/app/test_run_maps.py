"""What a task's ``maps`` leave: one Parametric Map per quantity, with the values that were computed."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import highdicom as hd
import numpy as np
import pydicom
import pytest
import yaml
from highdicom.sr import srread

from app.application import RunContext, run_task
from app.config import load_config
from app.run import run
from models.method import Method, image_seed
from operators.quantity import ENTROPY, QUANTITIES
from operators.stack import build_stack
from operators.study import read_folder
from operators.task import prompt_task
from tests.app.toy_bundle import toy_bundle
from tests.models.ensemble.folder import ensemble
from tests.operators.arrangements import valued_points
from tests.operators.results import ANATOMY, LIVER, task
from tests.operators.synthetic import ROOT, radiograph, volume

CT, CR = f"{ROOT}.2", f"{ROOT}.5"
EVERY = tuple(QUANTITIES)
BRIGHT = prompt_task("bright")


@pytest.fixture
def context():
    return RunContext(Method(toy_bundle()), datetime(2026, 3, 1, 11, 30, 5, tzinfo=UTC), "0.1.0")


def with_checkpoints(folder, chosen=slice(None)):
    record = ensemble(folder)
    return replace(toy_bundle(), ensembles=(replace(record, members=record.members[chosen]),))


ONE = slice(1, 2)
"""One checkpoint that marks something by itself: it has nobody to disagree with."""


@pytest.fixture(params=["the method's own members", "checkpoints"])
def voting(request, context, tmp_path):
    if request.param != "checkpoints":
        return context
    return replace(context, method=Method(with_checkpoints(tmp_path / "ensemble")))


def asking(asked=BRIGHT, **changes):
    return asked.model_copy(update=changes)


def maps_of(outcome):
    """The Parametric Maps of a run by what they call their quantity."""
    images = (pydicom.dcmread(file) for file in outcome.files if "-pm-" in file.name)
    return {image.ContentLabel: image for image in images}


def computed(folder, asked, context):
    """The quantities on the whole grid, from the method's own stages: the largest over the targets."""
    method = context.method.using(asked.method, asked.mode, asked.settings).voting(asked.ensemble)
    (series,) = read_folder(folder).series
    stack = build_stack(series)
    whole = {name: np.zeros(stack.grid.shape, np.float32) for name in EVERY}
    for index in range(len(stack.planes)):
        image = stack.view(index).searched
        for target in asked.targets:
            seed = image_seed(image, target.prompts, asked.seed)
            saliency = method.saliency(image, method.text(target.prompts), seed)
            members = method.refine(image, method.coarse(image, saliency), seed)
            chosen = method.ensemble_for(target.prompts)
            vote = method.vote_by(chosen, [image], [members])[0] if chosen else method.vote(members)
            values = (vote.entropy, vote.mutual_information, vote.probability, saliency.on_pixels())
            for name, one in zip(EVERY, values, strict=True):
                np.maximum(whole[name][index], one, out=whole[name][index])
    for name, values in whole.items():
        values[values < QUANTITIES[name].floor] = 0
    return stack, whole


def test_every_map_is_an_object_in_a_series_of_its_own_with_the_values_that_were_computed(tmp_path, voting):
    volume(tmp_path / "in")
    asked = asking(maps=EVERY, outputs=("pm",))
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, voting)
    stack, expected = computed(tmp_path / "in", asked, voting)
    assert outcome.status == "found"
    maps = maps_of(outcome)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
        assert len({image[keyword].value for image in maps.values()}) == len(EVERY)
    for name, values in expected.items():
        assert values.any(), name
        read = hd.pm.ParametricMap.from_dataset(maps[QUANTITIES[name].label]).get_volume()
        assert valued_points(read.array, read.affine) == valued_points(values, stack.grid.affine), name


def test_the_entropy_is_the_same_object_whatever_else_is_asked_for(tmp_path, context):
    volume(tmp_path / "in")
    (alone,) = run_task(tmp_path / "in", tmp_path / "1", CT, asking(outputs=("pm",)), context).files
    among = run_task(tmp_path / "in", tmp_path / "2", CT, asking(maps=EVERY, outputs=("pm",)), context).files
    assert alone.read_bytes() == next(file for file in among if file.name == alone.name).read_bytes()


def test_maps_of_several_targets_hold_the_largest_value(tmp_path, context):
    volume(tmp_path / "in")
    targets = [
        {"segment": {"label": word, "category": ANATOMY, "type": LIVER}, "prompts": [word]}
        for word in ("bright", "absent")
    ]
    asked = task(targets=targets, maps=["saliency", "probability"])
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    stack, expected = computed(tmp_path / "in", asked, context)
    maps = maps_of(outcome)
    assert set(maps) == {"SALIENCY", "PROBABILITY"}
    for name in asked.maps:
        read = hd.pm.ParametricMap.from_dataset(maps[QUANTITIES[name].label]).get_volume()
        assert valued_points(read.array, read.affine) == valued_points(expected[name], stack.grid.affine)


def test_what_is_zero_everywhere_is_not_written_and_the_outcome_says_so(tmp_path, context):
    volume(tmp_path / "in")
    one = replace(context, method=Method(with_checkpoints(tmp_path / "ensemble", ONE)))
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asking(maps=EVERY), one)
    assert set(maps_of(outcome)) == {"ENTROPY", "PROBABILITY", "SALIENCY"}
    assert outcome.reason.endswith("mutual-information reaches 0.05 nowhere.")


def test_pictures_have_no_maps_whatever_the_task_names(tmp_path, context):
    radiograph(tmp_path / "in" / "x.dcm")
    outcome = run_task(tmp_path / "in", tmp_path / "out", CR, asking(maps=EVERY), context)
    assert (outcome.status, outcome.reason, maps_of(outcome)) == ("found", "", {})


def test_no_map_is_kept_that_is_not_asked_for(tmp_path, context, monkeypatch):
    kept = []
    monkeypatch.setattr("operators.vote_operator.crop_map", lambda *_: kept.append("vote"))
    monkeypatch.setattr("operators.saliency_operator.crop_map", lambda *_: kept.append("saliency"))
    volume(tmp_path / "in")
    for number, changes in enumerate(({}, {"maps": EVERY, "outputs": ("seg",)})):
        run_task(tmp_path / "in", tmp_path / str(number), CT, asking(**changes), context)
    assert not kept


@pytest.mark.parametrize("names", [EVERY, EVERY[1:]], ids=["with the entropy", "without"])
def test_the_report_takes_its_mean_from_the_map_of_the_entropy_and_from_no_other(tmp_path, context, names):
    volume(tmp_path / "in")
    asked = asking(maps=names, outputs=("seg", "pm", "sr"))
    outcome = run_task(tmp_path / "in", tmp_path / "out", CT, asked, context)
    report = srread(next(file for file in outcome.files if "-sr-" in file.name))
    (group,) = report.content.get_volumetric_roi_measurement_groups()
    (mean,) = group.get_measurements(ENTROPY.concept)
    referenced = [image.referenced_sop_instance_uid for image in mean.referenced_images]
    maps = maps_of(outcome)
    assert referenced == [image.SOPInstanceUID for label, image in maps.items() if label == "ENTROPY"]
    assert len(maps) == len(names)


def test_a_task_of_a_site_file_chooses_and_the_report_tells_what_there_was_none_of(
    tmp_path, monkeypatch, capsys
):
    bundle = with_checkpoints(tmp_path / "ensemble", ONE)
    monkeypatch.setattr("models.bundles.bundle.load_bundle", lambda *_: bundle)
    volume(tmp_path / "in")
    asked = task(name="bright", maps=["mutual-information", "saliency"]).model_dump(mode="json")
    asked["targets"][0]["prompts"] = ["bright"]
    site = tmp_path / "site.yaml"
    site.write_text(yaml.safe_dump({"tasks": [asked]}))
    assert run(tmp_path / "in", tmp_path / "out", "bright", None, load_config(site=site)) == 0
    (entry,) = json.loads((tmp_path / "out" / "report.json").read_text())["series"]
    assert sorted(name.split("-")[1] for name in entry["files"]) == ["pm", "seg"]
    assert "mutual-information reaches 0.05 nowhere" in entry["reason"]
    assert "mutual-information reaches 0.05 nowhere" in " ".join(capsys.readouterr().err.split())
