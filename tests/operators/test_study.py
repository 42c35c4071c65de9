"""Every file of a folder is accounted for, and every fault falls on the series it belongs to."""

import shutil

import pydicom
import pytest

from models.errors import Code, InputError
from operators.identifiers import own_uid
from operators.study import read_folder
from tests.operators.synthetic import ROOT, radiograph, ultrasound, volume


def test_files_are_sorted_into_series_whatever_their_folders(tmp_path):
    volume(tmp_path / "a" / "b")
    radiograph(tmp_path / "c" / "x.dcm")
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "empty.dcm").touch()
    folder = read_folder(tmp_path)
    assert [(series.modality, series.images) for series in folder.series] == [("CT", 6), ("CR", 1)]
    assert not folder.damaged
    assert {note.path.name: note.code for note in folder.ignored} == {
        "LICENSE": Code.FILE_NOT_DICOM,
        "empty.dcm": Code.FILE_NOT_DICOM,
    }


def test_a_single_file_is_a_folder_of_one(tmp_path):
    assert read_folder(radiograph(tmp_path / "x.dcm")).series[0].images == 1


def test_a_folder_without_files_is_refused(tmp_path):
    (tmp_path / "sub").mkdir()
    with pytest.raises(InputError) as caught:
        read_folder(tmp_path)
    assert caught.value.code is Code.INPUT_EMPTY


def test_a_cut_slice_is_a_fault_of_its_series_and_of_no_other(tmp_path):
    cut = volume(tmp_path / "ct")[2]
    cut.write_bytes(cut.read_bytes()[:-100])
    radiograph(tmp_path / "x.dcm")
    by_modality = {series.modality: series for series in read_folder(tmp_path).series}
    assert by_modality["CT"].fault.code is Code.FILE_TRUNCATED
    assert cut.name in by_modality["CT"].fault.reason
    assert by_modality["CR"].fault is None


def test_a_series_of_which_no_file_can_be_read_is_still_listed(tmp_path):
    path = radiograph(tmp_path / "x.dcm")
    path.write_bytes(path.read_bytes()[:-100])
    (series,) = read_folder(tmp_path).series
    assert series.series_instance_uid == f"{ROOT}.5"
    assert series.fault.code is Code.FILE_TRUNCATED


def test_a_damaged_file_that_hides_its_series_is_listed_as_damaged(tmp_path):
    volume(tmp_path / "ct")
    path = radiograph(tmp_path / "x.dcm")
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"PAT-7")])
    folder = read_folder(tmp_path)
    assert [(note.path.name, note.code) for note in folder.damaged] == [("x.dcm", Code.FILE_TRUNCATED)]


@pytest.mark.parametrize("keyword", ["PatientID", "IssuerOfPatientID", "PatientBirthDate", "StudyDate"])
def test_instances_that_disagree_on_identity_refuse_the_whole_study(tmp_path, keyword):
    def edit(image, index):
        setattr(image, keyword, "20010101" if index == 3 else "20020202")

    volume(tmp_path / "ct", edit=edit)
    radiograph(tmp_path / "x.dcm", edit=lambda image, _: setattr(image, keyword, "20020202"))
    for series in read_folder(tmp_path).series:
        assert series.fault.code is Code.PATIENT_MIXED
        assert keyword in series.fault.reason
        assert "20010101" not in series.fault.reason


def test_other_studies_are_not_touched_by_a_mixed_one(tmp_path):
    volume(tmp_path / "ct", edit=lambda image, index: setattr(image, "PatientID", str(index)))

    def elsewhere(image, _):
        image.StudyInstanceUID = f"{ROOT}.99"

    radiograph(tmp_path / "x.dcm", edit=elsewhere)
    by_modality = {series.modality: series.fault for series in read_folder(tmp_path).series}
    assert by_modality["CT"].code is Code.PATIENT_MIXED
    assert by_modality["CR"] is None


def test_a_missing_birth_date_is_no_other_patient_but_a_missing_id_is(tmp_path):
    volume(tmp_path / "a", edit=lambda image, index: index == 1 and setattr(image, "PatientBirthDate", ""))
    assert read_folder(tmp_path / "a").series[0].fault is None
    volume(tmp_path / "b", edit=lambda image, index: index == 1 and setattr(image, "PatientID", ""))
    assert read_folder(tmp_path / "b").series[0].fault.code is Code.PATIENT_MIXED


def test_a_repeated_file_is_read_once_and_listed(tmp_path):
    shutil.copy(volume(tmp_path)[0], tmp_path / "zcopy.dcm")
    folder = read_folder(tmp_path)
    assert folder.series[0].images == 6
    assert folder.series[0].fault is None
    assert [(note.path.name, note.code) for note in folder.ignored] == [("zcopy.dcm", Code.FILE_REPEATED)]


def test_two_different_images_with_one_uid_refuse_the_series(tmp_path):
    volume(tmp_path, edit=lambda image, index: index == 1 and setattr(image, "SOPInstanceUID", f"{ROOT}.2.1"))
    fault = read_folder(tmp_path).series[0].fault
    assert fault.code is Code.UID_INVALID
    assert "slice000.dcm and slice001.dcm" in fault.reason


@pytest.mark.parametrize(
    ("keyword", "value", "code"),
    [
        ("SeriesDescription", "AI lungs SEG - NOT FOR DIAGNOSTIC USE", Code.OWN_RESULT),
        ("SOPInstanceUID", own_uid({"a": 1}), Code.OWN_RESULT),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.4", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.66.7", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.30", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7.4", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.59", Code.SOP_CLASS_EXCLUDED),
        ("SOPClassUID", "1.2.840.10008.5.1.4.1.1.11.1", Code.SOP_CLASS_EXCLUDED),
    ],
)
def test_results_reports_and_states_are_never_processed(tmp_path, keyword, value, code):
    path = ultrasound(tmp_path / "x.dcm")
    image = pydicom.dcmread(path)
    setattr(image, keyword, value)
    image.save_as(path)
    assert read_folder(tmp_path).series[0].excluded.code is code


def test_a_dicomdir_is_listed_and_changes_nothing(tmp_path):
    path = radiograph(tmp_path / "DICOMDIR")
    image = pydicom.dcmread(path)
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    del image.PixelData, image.Rows
    image.save_as(path)
    radiograph(tmp_path / "x.dcm", number=2)
    folder = read_folder(tmp_path)
    assert [series.images for series in folder.series] == [1]
    assert [note.path.name for note in folder.ignored] == ["DICOMDIR"]
