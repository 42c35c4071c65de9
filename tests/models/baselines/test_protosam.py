"""ProtoSAM as an external command: a small Python program in its place."""

import sys
from pathlib import Path

import numpy as np
import pytest

from models.baselines.protosam import ProtoSam
from models.errors import Code, ConfigError, ModelError
from models.labelled import Labelled
from tests.models.baselines.stubs import context
from tests.models.toy import picture

BOX = (6, 4, 20, 12)
IMAGE = picture(16, 40, [BOX])

READ = """
import sys
from pathlib import Path
import numpy as np
from PIL import Image
folder = Path(sys.argv[-1])
query = np.asarray(Image.open(folder / "query.png"))
shots = sorted((folder / "support").glob("*.png"))
bright = [
    np.asarray(Image.open(shot))[np.asarray(Image.open(folder / "support_masks" / shot.name)) == 255].mean()
    for shot in shots
]
mask = query[..., 0] > np.mean(bright) / 2
"""


def command(tmp_path: Path, program: str) -> tuple[str, ...]:
    script = tmp_path / "program.py"
    script.write_text(READ + program)
    return (sys.executable, str(script))


def support() -> tuple[Labelled, ...]:
    mask = np.zeros((10, 12), bool)
    mask[2:8, 3:9] = True
    return tuple(Labelled(name, picture(10, 12, [(3, 2, 9, 8)]), mask) for name in ("one", "two"))


@pytest.mark.parametrize("value", [1, 255])
def test_the_command_sees_image_and_support_and_its_mask_comes_back(tmp_path: Path, value: int) -> None:
    """A mask of 0 and 1 counts like one of 0 and 255."""
    program = f"Image.fromarray((mask * {value}).astype(np.uint8)).save(folder / 'mask.png')"
    answer = ProtoSam(command(tmp_path, program)).segment(IMAGE, context(support=support()))
    expected = np.zeros((16, 40), bool)
    expected[BOX[1] : BOX[3], BOX[0] : BOX[2]] = True
    assert (answer == expected).all()


def test_arguments_of_the_command_come_before_the_folder(tmp_path: Path) -> None:
    program = "assert sys.argv[1] == '--fast'; Image.fromarray(mask).save(folder / 'mask.png')"
    one = ProtoSam((*command(tmp_path, program), "--fast"))
    assert isinstance(one.segment(IMAGE, context(support=support())), np.ndarray)


def test_the_folder_is_gone_afterwards(tmp_path: Path) -> None:
    note = tmp_path / "note"
    program = f"Path({str(note)!r}).write_text(str(folder)); Image.fromarray(mask).save(folder / 'mask.png')"
    ProtoSam(command(tmp_path, program)).segment(IMAGE, context(support=support()))
    assert not Path(note.read_text()).exists()


def test_an_empty_mask_is_a_code(tmp_path: Path) -> None:
    program = "Image.fromarray(mask & False).save(folder / 'mask.png')"
    assert ProtoSam(command(tmp_path, program)).segment(IMAGE, context(support=support())) == Code.NO_MASK


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("sys.exit('the GPU is gone')", "exit code 1: the GPU is gone"),
        ("pass", "no readable mask"),
        ("(folder / 'mask.png').write_text('no picture')", "no readable mask"),
        ("Image.fromarray(mask.T).save(folder / 'mask.png')", r"\(40, 16\)"),
        ("import time; time.sleep(60)", "took longer than 1 s"),
    ],
)
def test_a_command_that_fails_is_an_error_that_says_how(tmp_path: Path, program: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as failed:
        ProtoSam(command(tmp_path, program), limit_s=1.0 if "sleep" in program else 60.0).segment(
            IMAGE, context(support=support())
        )
    assert failed.value.code == Code.COMMAND_FAILED


def test_a_command_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModelError, match="cannot be started"):
        ProtoSam(("no-such-program-anywhere",)).segment(IMAGE, context(support=support()))


def test_no_command_is_asked_for() -> None:
    with pytest.raises(ConfigError):
        ProtoSam(()).segment(IMAGE, context(support=support()))
