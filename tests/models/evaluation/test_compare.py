import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.errors import DatasetError
from models.evaluation.compare import by_patient, compare, holm, paired, read_report

DIFFERENCES = st.lists(st.integers(-50, 50).map(lambda n: n / 50), min_size=2, max_size=30)


def report(scores, patients=None):
    names = [f"i{index}" for index in range(len(scores))]
    return {
        "schema_version": 1,
        "images": [{"name": name, "dsc": score} for name, score in zip(names, scores, strict=True)],
        "patients": dict(zip(names, patients or names, strict=True)),
    }


def test_the_t_test_is_scipys_on_pairs():
    generator = np.random.default_rng(1)
    a, b = generator.random(20), generator.random(20)
    assert paired(b - a).t_test == pytest.approx(stats.ttest_rel(b, a).pvalue)
    assert paired(b - a).wilcoxon == pytest.approx(stats.wilcoxon(b, a).pvalue)
    assert paired(b - a).effect == pytest.approx((b - a).mean() / (b - a).std(ddof=1))


@settings(deadline=None, max_examples=30)
@given(DIFFERENCES)
def test_swapping_the_methods_changes_the_sign_of_the_effect_and_no_p_value(differences):
    forth, back = paired(differences), paired([-one for one in differences])
    assert forth.t_test == pytest.approx(back.t_test)
    assert forth.wilcoxon == pytest.approx(back.wilcoxon)
    assert 0 <= forth.t_test <= 1
    assert 0 <= forth.wilcoxon <= 1
    assert (forth.effect is None) == (back.effect is None)
    if forth.effect is not None:
        assert forth.effect == pytest.approx(-back.effect)
        assert math.isfinite(forth.effect)


def test_no_difference_at_all_is_no_effect_and_certainly_chance():
    assert paired([0.0] * 5) == paired([0.0] * 2)
    assert (paired([0.0] * 5).t_test, paired([0.0] * 5).wilcoxon, paired([0.0] * 5).effect) == (1, 1, 0)


def test_single_zero_differences_are_dropped_by_the_signed_rank_test():
    values = [0.0, 0.1, -0.2, 0.3, 0.4, 0.5]
    assert paired(values).wilcoxon == pytest.approx(paired(values[1:]).wilcoxon)


def test_equal_differences_have_no_spread_and_give_no_infinity():
    found = paired([0.25] * 8)
    assert found.t_test == 0
    assert found.effect is None
    assert found.wilcoxon == pytest.approx(2 / 2**8)


@pytest.mark.parametrize("differences", [[], [0.3]])
def test_one_difference_is_nothing_to_test(differences):
    assert paired(differences) == paired([])
    assert paired(differences).t_test is None


def test_holm_multiplies_by_the_number_of_hypotheses_still_standing():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, None, 0.9]) == [1.0, None, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_never_lowers_a_p_value_keeps_their_order_and_lies_below_bonferroni(values):
    adjusted = holm(values)
    for raw, corrected in zip(values, adjusted, strict=True):
        assert raw <= corrected <= min(1.0, raw * len(values)) + 1e-12
    order = np.argsort(values, kind="stable")
    assert all(np.diff(np.array(adjusted)[order]) >= 0)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_rejects_what_the_step_down_procedure_rejects(values, level):
    rejected, ordered = set(), sorted(range(len(values)), key=lambda index: values[index])
    for rank, index in enumerate(ordered):
        if values[index] * (len(values) - rank) > level:
            break
        rejected.add(index)
    assert {index for index, value in enumerate(holm(values)) if value <= level} == rejected


def test_slices_of_one_patient_are_one_unit_where_the_paper_counts_each():
    before, after = report([0.5] * 40, ["p"] * 38 + ["q", "r"]), report([0.6] * 38 + [0.5, 0.4])
    after["patients"] = before["patients"]
    (by_patients,) = compare(before, {"new": after})
    (by_images,) = compare(before, {"new": after}, unit="image")
    assert by_images.tests.t_test < 1e-6
    assert by_patients.tests.t_test > 0.9
    assert by_patients.difference.mean == by_images.difference.mean
    assert by_patient([1, 2, 6], ["b", "a", "a"]) == [4, 1]


def test_each_report_is_compared_with_the_baseline_and_corrected_for_their_number():
    generator = np.random.default_rng(2)
    base = generator.random(12)
    better, same = np.clip(base + 0.2, 0, 1), base
    found = compare(report(base), {"better": report(better), "same": report(same)})
    assert [one.label for one in found] == ["better", "same"]
    assert found[0].difference.mean == pytest.approx((better - base).mean())
    assert found[0].adjusted.t_test == pytest.approx(2 * found[0].tests.t_test)
    assert found[1].tests.t_test == found[1].adjusted.t_test == 1


def test_images_without_truth_are_left_out_on_both_sides():
    (found,) = compare(report([0.5, None, 0.7]), {"x": report([0.6, None, 0.7])})
    assert found.difference.images == 2


def test_reports_of_other_images_are_refused_and_the_image_named():
    with pytest.raises(DatasetError, match="i2"):
        compare(report([0.1, 0.2]), {"x": report([0.1, 0.2, 0.3])})


@pytest.mark.parametrize("content", ["", "[]", '{"images": []}'])
def test_a_file_that_is_no_report_is_refused(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(DatasetError, match=r"report\.json"):
        read_report(path)


def test_a_report_is_read_back(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report([0.5])))
    assert read_report(path) == report([0.5])
