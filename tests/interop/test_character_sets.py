"""Names in every script reach the archive in every kind of result, in the source's own character set."""

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from app.config import AE
from app.delivery.responses import Verdict
from app.delivery.sender import send_files
from operators.stack import build_stack
from operators.study import read_folder
from tests.app.peers import archive
from tests.interop.archive import AE_TITLE, needs_orthanc, orthanc
from tests.interop.objects import documents, images
from tests.operators.results import ANATOMY, LIVER, asymmetric, provenance, task
from tests.operators.synthetic import radiograph, volume

CHARACTER_SETS = {
    "Latin": ("ISO_IR 100", "Müller^Jörg", "Größe"),
    "Cyrillic": ("ISO_IR 144", "Люксембург^Роза", "печень"),
    "Arabic": ("ISO_IR 127", "قباني^لنزار", "كبد"),
    "Unicode": ("ISO_IR 192", "Wang^XiaoDong=王^小东", "肝脏 für"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东", "肝脏"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう", "肝臓"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동", "간"),
}
"""Specific Character Set (PS3.3 C.12.1.1.2), a patient's name and a word for a target."""

IDENTITY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "ReferringPhysicianName",
    "StudyDescription", "AccessionNumber",
)  # fmt: skip
SOURCES = {
    "CT": lambda folder, edit: volume(folder, edit=edit),
    "CR": lambda folder, edit: [radiograph(folder / "x.dcm", edit=edit)],
}


def files_of(folder, script, source):
    """Write a series in a script and every kind of its results; return the series' files and theirs."""
    character_set, name, word = CHARACTER_SETS[script]

    def edit(image, _):
        image.SpecificCharacterSet = character_set
        image.PatientName, image.ReferringPhysicianName = name, name
        image.StudyDescription, image.IssuerOfPatientID = word, word

    sources = SOURCES[source](folder / "in", edit)
    (series,) = read_folder(folder / "in").series
    stack = build_stack(series)
    findings = asymmetric(stack, (1, 3) if source == "CT" else (0,))
    targets = [{"segment": {"label": word, "category": ANATOMY, "type": LIVER}, "prompts": [word]}]
    made = provenance(task(targets=targets))
    results = []
    for of_kind in (images, documents):
        for kind, result in of_kind(stack, findings, made):
            results.append(folder / f"{source} {kind}.dcm")
            result.save_as(results[-1], enforce_file_format=True)
    return sources, results


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("script", CHARACTER_SETS)
def test_names_of_every_script_are_received_as_they_were_read(tmp_path, script, source):
    sources, results = files_of(tmp_path, script, source)
    origin = pydicom.dcmread(sources[0])
    raw = origin.get_item("PatientName").value
    with archive(syntaxes=[ExplicitVRLittleEndian, RLELossless]) as peer:
        answers = send_files(results, AE(title="PACS", host="127.0.0.1", port=peer.port), "TEXTSEG", 30)
        assert {answer.verdict for answer in answers} == {Verdict.SENT}
    assert {image.Modality for image in peer.received} >= {"SEG", "SR", "KO", "OT"}
    for received in peer.received:
        assert received.get_item("PatientName").value == raw
        for keyword in IDENTITY:
            assert received[keyword].value == origin[keyword].value, (received.SeriesDescription, keyword)
        if received.Modality == "SEG":
            (segment,) = received.SegmentSequence
            assert segment.SegmentLabel == segment.SegmentDescription == CHARACTER_SETS[script][2]


@needs_orthanc
@pytest.mark.peers
def test_an_archive_reads_the_same_names_in_results_as_in_their_sources(tmp_path):
    with orthanc(tmp_path / "orthanc", DicomAlwaysAllowStore=True, UnknownSopClassAccepted=True) as peer:
        to = AE(title=AE_TITLE, host="127.0.0.1", port=peer.dicom_port)
        for script, (_, name, word) in CHARACTER_SETS.items():
            sources, results = files_of(tmp_path / script, script, "CT")
            assert {answer.verdict for answer in send_files([*sources, *results], to, "TEXTSEG", 30)} == {
                Verdict.SENT
            }
            kept = [peer.get(f"/instances/{one}/simplified-tags") for one in peer.get("/instances")]
            assert len(kept) == len(sources) + len(results)
            assert {one["PatientName"] for one in kept} == {name}
            assert {one["StudyDescription"] for one in kept} == {word}
            labels = [one["SegmentSequence"][0]["SegmentLabel"] for one in kept if one["Modality"] == "SEG"]
            assert set(labels) == {word}
            for patient in peer.get("/patients"):
                peer.delete(f"/patients/{patient}")
