"""C-STORE to peers that behave, refuse, break off, or understand little."""

from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from app.config import AE
from app.delivery.outbox import kind_of, publish
from app.delivery.responses import Verdict, judge
from app.delivery.sender import Answer, send_files
from models.errors import Code, DeliveryError
from tests.app.graphs import CLASSES
from tests.app.peers import archive, free_port, ultrasound

TIMEOUT = 5.0


def files(folder: Path, count: int, **elements: Any) -> list[Path]:
    paths = []
    for number in range(count):
        image = ultrasound(**elements)
        paths.append(folder / f"{number}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    return paths


def sent_to(port: int, paths: list[Path]) -> list[Answer]:
    return send_files(paths, AE(title="PACS", host="127.0.0.1", port=port), "TEXTSEG", TIMEOUT)


def verdicts(answers: list[Answer]) -> list[Verdict]:
    return [answer.verdict for answer in answers]


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (0x0000, Verdict.SENT),
        (0x0111, Verdict.SENT),
        (0xB000, Verdict.SENT),
        (0xB007, Verdict.SENT),
        (0xA700, Verdict.AGAIN),
        (0x0110, Verdict.AGAIN),
        (0x0122, Verdict.NEVER),
        (0xA900, Verdict.NEVER),
        (0xC123, Verdict.NEVER),
    ],
)
def test_statuses_mean_what_the_standard_says(status: int, verdict: Verdict) -> None:
    assert judge(status) is verdict


def test_every_file_is_answered_for_itself(tmp_path: Path) -> None:
    paths = files(tmp_path, 4)
    with archive() as peer:
        peer.answer = lambda _image, count: (0x0000, 0xA700, 0xC000, 0x0000)[len(asked) - 1]
        asked: list[str] = []
        plain = peer.answer

        def answer(image: Dataset, count: int) -> int:
            asked.append(image.SOPInstanceUID)
            return plain(image, count)

        peer.answer = answer
        answers = sent_to(peer.port, paths)
    assert verdicts(answers) == [Verdict.SENT, Verdict.AGAIN, Verdict.NEVER, Verdict.SENT]
    assert [item.path for item in answers] == paths
    assert "0xA700" in answers[1].reason


def test_file_arrives_as_it_is(tmp_path: Path) -> None:
    paths = files(tmp_path, 1)
    with archive() as peer:
        assert verdicts(sent_to(peer.port, paths)) == [Verdict.SENT]
        assert peer.received[0] == pydicom.dcmread(paths[0])


def test_association_that_breaks_leaves_the_rest_for_another_one(tmp_path: Path) -> None:
    paths = files(tmp_path, 3)
    with archive() as peer:
        peer.breaks_after = 1
        answers = sent_to(peer.port, paths)
        assert verdicts(answers) == [Verdict.SENT, Verdict.AGAIN, Verdict.AGAIN]
        peer.breaks_after = None
        assert verdicts(sent_to(peer.port, paths[1:])) == [Verdict.SENT, Verdict.SENT]
        assert len(peer.instances()) == 3


def test_peer_that_takes_only_implicit_vr_gets_it(tmp_path: Path) -> None:
    paths = files(tmp_path, 1)
    with archive(syntaxes=[ImplicitVRLittleEndian]) as peer:
        assert verdicts(sent_to(peer.port, paths)) == [Verdict.SENT]
        arrived, sent = peer.received[0], pydicom.dcmread(paths[0])
        assert arrived.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
        assert (arrived.SOPInstanceUID, arrived.PatientName) == (sent.SOPInstanceUID, sent.PatientName)
        assert (arrived.pixel_array == sent.pixel_array).all()


def test_class_that_the_peer_does_not_know_is_refused_and_the_others_arrive(tmp_path: Path) -> None:
    image = files(tmp_path, 1)[0]
    other = tmp_path / "pm.dcm"
    result = ultrasound(SOPClassUID=CLASSES["pm"])
    result.save_as(other, enforce_file_format=True)
    with archive(classes=[str(pydicom.dcmread(image).SOPClassUID)]) as peer:
        answers = sent_to(peer.port, [other, image])
        assert verdicts(answers) == [Verdict.NEVER, Verdict.SENT]
        assert "Parametric Map" in answers[0].reason
        only = sent_to(peer.port, [other])
        assert verdicts(only) == [Verdict.NEVER]


def test_peer_that_is_not_there_is_tried_again_later(tmp_path: Path) -> None:
    answers = sent_to(free_port(), files(tmp_path, 2))
    assert verdicts(answers) == [Verdict.AGAIN, Verdict.AGAIN]
    assert "is it running" in answers[0].reason


def test_peer_that_does_not_know_us_is_tried_again_later(tmp_path: Path) -> None:
    with archive(calling=["SOMEONE"]) as peer:
        answers = sent_to(peer.port, files(tmp_path, 1))
    assert verdicts(answers) == [Verdict.AGAIN]
    assert "rejected" in answers[0].reason


def test_more_kinds_than_one_association_has_contexts_for(tmp_path: Path) -> None:
    from pynetdicom import AllStoragePresentationContexts

    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts][:70]
    paths = []
    for number, sop_class in enumerate(classes):
        paths.append(tmp_path / f"{number}.dcm")
        ultrasound(SOPClassUID=sop_class).save_as(paths[-1], enforce_file_format=True)
    with archive() as peer:
        assert set(verdicts(sent_to(peer.port, paths))) == {Verdict.SENT}
        assert len(peer.instances()) == 70


def result(folder: Path, uid: str, number: int) -> Path:
    path = folder / f"{number}.dcm"
    image = ultrasound(sop_instance=uid, SOPClassUID=CLASSES["seg"], InstanceNumber=number)
    image.save_as(path, enforce_file_format=True)
    return path


def test_outbox_keeps_the_first_file_of_a_uid(tmp_path: Path) -> None:
    uid, outbox = generate_uid(), tmp_path / "outbox" / "study-0"
    (outbox.parent).mkdir()
    first = publish([result(tmp_path, uid, 1)], outbox)
    content = first[0][2].read_bytes()
    again = publish([result(tmp_path, uid, 2)], outbox)
    assert again == first == [(uid, "SEG", outbox / f"{uid}.dcm")]
    assert first[0][2].read_bytes() == content


@pytest.mark.parametrize(
    ("sop_class", "kind"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", "SEG"),
        ("1.2.840.10008.5.1.4.1.1.66.7", "SEG"),
        ("1.2.840.10008.5.1.4.1.1.30", "PM"),
        ("1.2.840.10008.5.1.4.1.1.7", "SC"),
        ("1.2.840.10008.5.1.4.1.1.88.34", "SR"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "KO"),
    ],
)
def test_every_kind_of_result_is_known_by_its_class(sop_class: str, kind: str) -> None:
    assert kind_of(sop_class) == kind


def test_outbox_takes_no_object_that_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "outbox").mkdir()
    image = files(tmp_path, 1)[0]
    with pytest.raises(DeliveryError) as caught:
        publish([image], tmp_path / "outbox" / "study-0")
    assert caught.value.code is Code.INTERNAL
