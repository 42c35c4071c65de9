"""PixelMed's DicomSRValidator, which knows the templates of PS3.16, finds no error in the reports."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.interop.objects import documents, found_in, stack_of
from tests.operators.results import ANATOMY, LIVER, provenance, task

JARS = Path("/usr/share/java")
XPATH = "jdk.xml.xpath"
"""Java's limits on XPath expressions are below what the validator's own style sheets need."""
COMMAND = [
    "java",
    f"-D{XPATH}TotalOpLimit=0",
    f"-D{XPATH}ExprGrpLimit=0",
    f"-D{XPATH}ExprOpLimit=0",
    "-Xss64m",
    "-cp",
    f"{JARS}/*",
    "com.pixelmed.validate.DicomSRValidator",
]

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(
        not (JARS / "pixelmed.jar").exists() or shutil.which("java") is None,
        reason="DicomSRValidator is not installed (Debian: libpixelmed-java default-jre-headless)",
    ),
]


def verdict(path):
    done = subprocess.run([*COMMAND, path], capture_output=True, text=True, check=False, timeout=300)
    lines = (done.stdout + done.stderr).splitlines()
    assert "IOD validation complete" in lines, lines
    return lines


@pytest.mark.parametrize(
    ("source", "kinds"),
    [("CT", {"SR binary", "SR nothing found", "KO"}), ("CR", {"SR binary", "SR labelmap"})],
)
def test_every_report_follows_its_template(tmp_path, source, kinds):
    """One object of each shape: a run takes a second, or many on a busy machine."""
    stack = stack_of(source, tmp_path / "in")
    targets = [
        {"segment": {"label": name, "category": ANATOMY, "type": LIVER}, "prompts": [name]}
        for name in ("One", "Two")
    ]
    findings = found_in(stack, targets=2)
    made = dict(documents(stack, findings, provenance(task(targets=targets))))
    for kind in kinds:
        path = tmp_path / f"{kind}.dcm"
        made[kind].save_as(path, enforce_file_format=True)
        lines = verdict(path)
        assert (kind, [line for line in lines if line.startswith("Error")]) == (kind, [])
        root = "TID_2010" if kind == "KO" else "TID_1500"
        assert any(line.startswith(f"Found Root Template {root}") for line in lines), lines


def test_the_validator_sees_an_error(tmp_path):
    stack = stack_of("CT", tmp_path / "in")
    kind, report = next(documents(stack, found_in(stack), provenance()))
    procedure = next(
        item for item in report.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121058"
    )
    procedure.ConceptCodeSequence[0].CodeValue = "no such procedure"
    report.save_as(tmp_path / "broken.dcm", enforce_file_format=True)
    assert any(line.startswith("Error") for line in verdict(tmp_path / "broken.dcm")), kind
