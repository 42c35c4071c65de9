"""BiomedCLIP and OpenAI's CLIP as something to fine-tune: all weights, or the projections alone."""

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from models.encoders.checkpoint import Names
from models.encoders.clip import ClipEncoder
from models.encoders.text import TextBatch
from models.errors import PromptError
from models.evaluation.dataset import read_image
from models.finetune.captions import FORMATS
from models.finetune.trainable import Told, TrainableModule

PROJECTIONS = ("vision.projection.", "text.projection.", "text.head.")


class ClipTowers(TrainableModule):
    """Both towers of an encoder, which is trained in place and must not be used for anything else meanwhile.

    Parameters
    ----------
    encoder
        Its images are framed as it frames them; there is no augmentation, as in the paper.
    names
        Under which the weights are written.
    freeze
        Only the projections learn.
    """

    def __init__(self, encoder: ClipEncoder, names: Names, freeze: bool = False) -> None:
        super().__init__()
        self.vision, self.text = encoder.vision, encoder.text
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(not freeze or name.startswith(PROJECTIONS))
        self._encoder = encoder
        self._names = names

    def prepare(self, images: Sequence[Path], told: Told) -> None:
        """Nothing is stored: the towers learn."""
        told(len(images), len(images))

    def image_rows(self, images: Sequence[Path]) -> Tensor:
        """Return (B, D) unit rows."""
        framed = [self._encoder.preprocess(read_image(image, FORMATS)).values for image in images]
        return F.normalize(self.vision(torch.stack(framed).to(self._encoder.device)).float(), dim=1)

    def text_rows(self, captions: Sequence[str]) -> Tensor:
        """Return (B, D) unit rows. A caption longer than the text tower reads loses its last words."""
        fitting = [self._shortened(caption) for caption in captions]
        batch = self._encoder.tokenizer(fitting)
        device = self._encoder.device
        return F.normalize(self.text(batch.ids.to(device), batch.mask.to(device)).float(), dim=1)

    def _shortened(self, caption: str) -> str:
        words = caption.split()
        while len(words) > 1 and not self._fits(" ".join(words)):
            words = words[: len(words) * 9 // 10]
        return " ".join(words)

    def _fits(self, caption: str) -> bool:
        try:
            _: TextBatch = self._encoder.tokenizer([caption])
        except PromptError:
            return False
        return True

    def weights(self) -> dict[str, Tensor]:
        """Return both towers and the scale under the names of the program they come from."""
        return self._encoder.state(self._names)
