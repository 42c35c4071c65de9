"""Rows of tables on toy models: what cannot be run says why, and what is done stays done."""

import json
from dataclasses import replace

import numpy as np
import pytest

from models.errors import Code, ConfigError, DatasetError
from models.evaluation.ablation import ABLATIONS, ROLES
from models.evaluation.dataset import open_dataset
from models.evaluation.grid import figures, line, record
from models.evaluation.suite import ROWS, read_suite
from models.evaluation.variant import Bench, Variant, dataset_digest, half, prompts_of, run_variant
from models.labelled import read_labelled
from models.method import Method
from tests.app.toy_bundle import toy_bundle
from tests.models.evaluation.folders import dataset

LABELS = {
    "components": 9,
    "prompts": 6,
    "saliency": 6,
    "segmenter": 10,
    "salip": 14,
}


def no_other_bundle(role):
    raise ConfigError(Code.USAGE, f"no bundle is given for it; say --with {role}=BUNDLE")


@pytest.fixture
def bench(tmp_path):
    opened = open_dataset(dataset(tmp_path / "set"))
    return Bench(
        dataset=opened,
        prompts={item.name: ("bright",) for item in opened.items},
        method=Method(toy_bundle()),
        bundle_of=no_other_bundle,
        seed=0,
        software_version="0.0",
        work=tmp_path / "work",
        digest=dataset_digest(opened),
    )


@pytest.fixture
def run(bench):
    told = []

    def one(variant, changed=bench):
        return run_variant(variant, changed, lambda done, total: told.append((done, total)))

    one.told = told
    return one


def test_the_tables_have_the_papers_rows():
    assert {name: len(table.variants) for name, table in ABLATIONS.items()} == LABELS
    assert len(ROWS) == 18
    named = {
        role
        for table in ABLATIONS.values()
        for row in table.variants
        for role in (row.encoder, row.segmenter)
    }
    assert named - {None} == set(ROLES)


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_override_of_a_table_is_a_setting_that_exists(name):
    method = Method(toy_bundle())
    for variant in ABLATIONS[name].variants:
        settings = method.using(variant.method or "medclip-sam-v2", "recommended").settings
        settings.overridden(variant.settings)


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_row_has_figures_or_a_reason_and_none_is_dropped(name, run, bench):
    rows = [run(variant) for variant in ABLATIONS[name].variants]
    assert len(rows) == LABELS[name]
    for row in rows:
        assert (row.report is None) == bool(row.reason)
    table = figures(name, "", [line(row.variant.label, {"set": row}) for row in rows], ["set"])
    assert len(table.rows) == len(rows)
    for shown, row in zip(table.rows, rows, strict=True):
        assert ("not available: " in shown[-1]) == (row.report is None)


def test_points_for_a_segmenter_that_knows_boxes_only_are_not_available_and_say_so(run):
    points, boxes, _ = (run(variant) for variant in ABLATIONS["segmenter"].variants[:3])
    assert "points" in points.reason
    assert boxes.report["summary"]["dsc"]["mean"] > 0.5


def test_a_role_that_nobody_fills_is_not_available_and_says_how_to_fill_it(run):
    assert "--with fine-tuned=BUNDLE" in run(ABLATIONS["components"].variants[1]).reason


def test_a_role_brings_its_encoder_and_changes_the_digest(run, bench):
    filled = replace(bench, bundle_of=lambda role: replace(toy_bundle(), digest="ef" * 32))
    own, other = run(Variant("own")), run(Variant("other", encoder="fine-tuned"), filled)
    assert own.report["bundle_digest"] != other.report["bundle_digest"]


def test_stages_before_sam_answer_with_their_own_mask(run):
    found = {stage: run(Variant(stage, stage=stage)).report for stage in ("map", "components", "sam")}
    for stage in ("map", "components"):
        assert found[stage]["stages"]["sam"]["dsc"]["mean"] == found[stage]["stages"][stage]["dsc"]["mean"]
        assert found[stage]["summary"]["uncertainty"]["mean"] is None
    assert found["sam"]["summary"]["uncertainty"]["mean"] is not None


def test_a_finished_row_is_read_back_and_not_computed_again(run, bench):
    first = run(Variant("one"))
    run.told.clear()
    again = run(Variant("the same under another name"))
    assert run.told == []
    assert json.loads(json.dumps(again.report)) == json.loads(json.dumps(first.report))
    assert len(list(bench.work.glob("*.json"))) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"software_version": "0.1"},
        {"digest": "other"},
        {"prompts": dict.fromkeys("abc", ("bright", "bright"))},
    ],
)
def test_what_a_row_depends_on_is_part_of_its_key(run, bench, change):
    run(Variant("one"))
    run(Variant("one"), replace(bench, **change))
    assert len(list(bench.work.glob("*.json"))) == 2


def test_an_unfinished_row_leaves_nothing_behind(run, bench):
    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_variant(Variant("one"), bench, stop)
    assert not bench.work.exists() or not list(bench.work.iterdir())


def test_the_digest_of_a_data_set_follows_pixels_masks_and_patients(tmp_path, bench):
    (tmp_path / "set" / "groups.csv").write_text("name,patient\na,p\nb,p\nc,q\n")
    assert dataset_digest(open_dataset(tmp_path / "set")) != bench.digest


def test_a_baseline_says_which_labels_it_used(run):
    bound = run(Variant("bound", baseline="sam-truth-boxes")).report
    assert bound["baseline"] == "sam-truth-boxes"
    assert any("truth" in note for note in bound["notes"])
    assert bound["summary"]["dsc"]["mean"] > 0.8


def test_a_baseline_whose_weights_nobody_gave_is_not_available_and_no_row_of_zeros(run, bench, tmp_path):
    others = read_labelled(open_dataset(dataset(tmp_path / "others")).items)
    row = run(Variant("universeg", baseline="universeg", shots=1), replace(bench, support=others))
    assert row.report is None
    assert "UniverSeg" in row.reason


def test_a_few_shot_baseline_without_enough_labelled_images_is_not_available(run, bench, tmp_path):
    few = Variant("few", baseline="self-prompt-sam", shots=4)
    assert "needs 4 labelled images" in run(few).reason
    support = read_labelled(open_dataset(dataset(tmp_path / "other", ("x", "y"))).items)
    assert "there are 2" in run(few, replace(bench, support=support)).reason


def test_prompts_of_subtypes_follow_the_image_and_say_so(run, bench):
    items = [
        replace(item, subtype=one)
        for item, one in zip(bench.dataset.items, ("benign", "malignant", None), strict=True)
    ]
    labelled = replace(bench.dataset, items=tuple(items))
    asked = prompts_of(labelled, "breast-tumour-us", "P1")
    assert asked == {
        "a": ("benign breast tumour",),
        "b": ("malignant breast tumour",),
        "c": ("breast tumour",),
    }
    report = run(
        Variant("P3", kind="P3"), replace(bench, dataset=labelled, prompt_task="breast-tumour-us")
    ).report
    assert any("image-level label" in note for note in report["notes"])


def test_prompts_of_subtypes_need_subtypes(run, bench):
    assert "--prompt-task" in run(Variant("P3", kind="P3")).reason
    assert (
        "subtypes.csv" in run(Variant("P3", kind="P3"), replace(bench, prompt_task="breast-tumour-us")).reason
    )
    assert "P0, P2, P4" in run(Variant("P3", kind="P3"), replace(bench, prompt_task="lung-ct")).reason


def test_the_patients_right_lies_on_the_left_of_the_image():
    mask = np.zeros((10, 20), dtype=bool)
    mask[2:8, 2:6] = mask[2:8, 13:18] = True
    right, left = half(mask, "right"), half(mask, "left")
    assert right[:, :10].any()
    assert not right[:, 10:].any()
    assert np.array_equal(right | left, mask)
    assert not (right & left).any()


def report(values):
    rows = [{"name": str(index), "dsc": value, "nsd": value} for index, value in enumerate(values)]
    summary = {"mean": float(np.mean(values)), "ci95": None}
    return {"images": rows, "summary": {"dsc": summary, "nsd": summary}}


def test_all_is_the_mean_of_the_means_and_the_root_mean_square_of_the_deviations(run):
    one = run(Variant("one"))
    both = line(
        "both", {"x": replace(one, report=report([0.2, 0.6])), "y": replace(one, report=report([0.7, 0.9]))}
    )
    cell = both.overall("dsc", ["x", "y"])
    assert cell.mean == pytest.approx(0.6)
    assert cell.sd == pytest.approx(np.sqrt((np.var([0.2, 0.6], ddof=1) + np.var([0.7, 0.9], ddof=1)) / 2))
    partly = line(
        "partly", {"x": replace(one, report=report([0.5])), "y": replace(one, report=None, reason="why")}
    )
    assert partly.overall("dsc", ["x", "y"]) is None
    content = record("t", [both, partly], ["x", "y"])
    assert content["rows"][1]["not_available"] == {"y": "why"}
    json.dumps(content, allow_nan=False)


def test_a_suite_is_a_file_or_a_folder_of_data_sets(tmp_path):
    for name in ("breast", "lungs"):
        dataset(tmp_path / name)
    dataset(tmp_path / "lungs" / "support")
    first, second = read_suite(tmp_path)
    assert (first.name, first.support) == ("breast", None)
    assert second.support == tmp_path / "lungs" / "support"
    listed = tmp_path / "suite.yaml"
    listed.write_text(
        "datasets:\n- {name: Breast, folder: breast, prompts: [bright]}\n"
        "- {name: Lungs, folder: lungs, prompt_task: lung-xray, kind: P2, support: lungs/support}\n"
    )
    one, two = read_suite(listed)
    assert (one.folder, one.prompts) == (tmp_path / "breast", ("bright",))
    assert (two.prompt_task, two.kind, two.support) == ("lung-xray", "P2", tmp_path / "lungs/support")


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "[]",
        "datasets: []",
        "datasets: [{name: a}]",
        "datasets: [{name: a, folder: b, colour: red}]",
        "datasets: [{name: a, folder: b}, {name: a, folder: c}]",
        "datasets: [{name: a, folder: b, prompts: x}]",
    ],
)
def test_a_suite_of_another_shape_is_refused(tmp_path, content):
    path = tmp_path / "suite.yaml"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"suite\.yaml"):
        read_suite(path)
