"""The simulated archive speaks DICOM to itself."""

from pathlib import Path

import pytest
from pydicom import dcmread

from app.demo.archive import Archive, ArchiveError
from app.demo.studies import write_studies
from tests.app.demo.moments import MOMENT


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_studies(tmp_path_factory.mktemp("studies") / "s", MOMENT)[0].files[0]


@pytest.fixture
def archive(tmp_path: Path):
    archive = Archive(tmp_path / "received", "DEMO")
    yield archive
    archive.stop()


def test_an_instance_sent_to_the_archive_arrives_unchanged_in_its_own_transfer_syntax(archive, chest):
    port = archive.start()

    archive.send([chest], port, "DEMO")

    (stored,) = archive.received
    sent, received = dcmread(chest), dcmread(stored)
    assert received.PixelData == sent.PixelData
    assert received.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert stored.stem == sent.SOPInstanceUID


def test_an_instance_that_comes_twice_is_counted_twice(archive, chest):
    port = archive.start()

    archive.send([chest, chest], port, "DEMO")

    assert len(archive.received) == 2
    assert len(set(archive.received)) == 1


def test_echo_tells_whether_somebody_listens(archive):
    port = archive.start()

    assert archive.echo(port, "DEMO")
    archive.stop()
    assert not archive.echo(port, "DEMO")


def test_sending_to_nobody_is_an_error_that_names_the_ae(archive, chest):
    port = archive.start()
    archive.stop()

    with pytest.raises(ArchiveError, match="NOBODY"):
        archive.send([chest], port, "NOBODY")
