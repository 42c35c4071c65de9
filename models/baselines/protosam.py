"""ProtoSAM (arXiv 2407.07042) as a program of the user's own. It is GPL, so nothing of it is here.

The program is started as ``COMMAND... FOLDER`` and finds

    FOLDER/query.png             the image, 8-bit RGB
    FOLDER/support/NAME.png      the support images, 8-bit RGB
    FOLDER/support_masks/NAME.png    their masks, 0/255

It leaves FOLDER/mask.png, of the size of the image; every pixel that is not 0 belongs to the target.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from models.baselines.contract import Context, Labels, found, needed_support
from models.contracts import Image, PromptableSegmenter
from models.errors import Code, ConfigError, ModelError
from models.evaluation.metrics import Mask

LIMIT_S = 600.0
"""Seconds that the program may take for one image."""

SHOWN = 300
"""Characters of the program's last words that an error repeats."""


class ProtoSam:
    """A command that answers with a mask file; ``command`` is the program and its first arguments."""

    name = "protosam"
    labels: Labels = "support"
    uses_labels = True

    def __init__(self, command: tuple[str, ...], limit_s: float = LIMIT_S) -> None:
        self.command = command
        self.limit_s = limit_s

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say that another program answered."""
        del segmenter
        return (
            "An external command answered, shown the labelled support set; text and segmenter were not used."
        )

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the mask (H, W) that the command leaves, or NO-MASK.

        Raises ConfigError (USAGE) without a command or a support set, ModelError (COMMAND-FAILED) where the
        command cannot be started, fails, takes too long or leaves no mask of the image's size.
        """
        if not self.command:
            raise ConfigError(Code.USAGE, "ProtoSAM runs as a command of yours; say which")
        support = needed_support(context, self.name)
        with tempfile.TemporaryDirectory(prefix="textseg-protosam-") as name:
            folder = Path(name)
            _save(folder / "query.png", image)
            for one in support:
                _save(folder / "support" / f"{one.name}.png", one.image)
                _save(folder / "support_masks" / f"{one.name}.png", one.mask.astype(np.uint8) * 255)
            self._run(folder)
            return found(self._answer(folder / "mask.png", (image.shape[0], image.shape[1])))

    def _run(self, folder: Path) -> None:
        try:
            done = subprocess.run(
                [*self.command, str(folder)], capture_output=True, timeout=self.limit_s, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed(f"took longer than {self.limit_s:.0f} s") from error
        except OSError as error:
            raise self._failed(f"cannot be started ({error.strerror})") from error
        if done.returncode:
            words = done.stderr.decode(errors="replace").strip()[-SHOWN:]
            raise self._failed(f"ended with exit code {done.returncode}: {words}")

    def _answer(self, path: Path, size: tuple[int, int]) -> Mask:
        try:
            with Pillow.open(path) as file:
                mask = np.asarray(file.convert("L")) > 0
        except (OSError, SyntaxError, ValueError) as error:
            raise self._failed("left no readable mask.png in the folder it was given") from error
        if mask.shape != size:
            raise self._failed(f"left a mask of {mask.shape} pixels for an image of {size}")
        return mask

    def _failed(self, what: str) -> ModelError:
        return ModelError(Code.COMMAND_FAILED, f"{self.command[0]} {what}; run it by hand to see why")


def _save(path: Path, pixels: Image) -> None:
    path.parent.mkdir(exist_ok=True)
    Pillow.fromarray(pixels).save(path)
