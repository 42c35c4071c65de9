"""The lite bundle's encoder as something to fine-tune: the projections of its head, on stored features.

The image tower takes a second an image and stays frozen, with the head's context part: what reaches the
bottleneck is computed once per image and kept. The two projections behind it learn.
"""

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from models.encoders.lite import AlignmentHead, LiteEncoder
from models.encoders.tinyvit import TOKEN_SIDE
from models.evaluation.dataset import read_image
from models.finetune.captions import FORMATS
from models.finetune.trainable import Told, TrainableModule, digest

TOKENS = 128
"""Tokens drawn per image in training: their mean estimates that of all 1024 at an eighth of the cost."""


class LiteProjections(TrainableModule):
    """``project`` and ``words`` of a copy of the alignment head.

    Parameters
    ----------
    encoder
        Its head is copied, its towers are used.
    work
        Folder of the stored features: 0.26 MB an image, by hash of file, tower and context.
    fresh
        Seed of new projections, or None to start from the encoder's own. The context part stays.
    """

    def __init__(self, encoder: LiteEncoder, work: Path, fresh: int | None = None) -> None:
        super().__init__()
        self.head = copy.deepcopy(encoder.head).requires_grad_(False)
        if fresh is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(fresh)
                new = AlignmentHead()
            self.head.project, self.head.words = new.project, new.words
        for part in (self.head.project, self.head.words):
            part.requires_grad_(True)
        self._encode = encoder.tower.encode
        self._sentences_of = encoder.text_tower
        before = {**encoder.tower.state_dict(), **_frozen(self.head)}
        self._folder = work / f"features-{digest(before)[:12]}"
        self._stored: dict[Path, Path] = {}
        self._sentences: dict[str, Tensor] = {}

    def prepare(self, images: Sequence[Path], told: Told) -> None:
        """Compute and store the missing features. Raises DatasetError for an image that cannot be read."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for done, image in enumerate(images, start=1):
            name = hashlib.sha256(image.read_bytes()).hexdigest()
            self._stored[image] = self._folder / f"{name}.safetensors"
            if not self._stored[image].exists():
                self._store(image, self._stored[image])
            told(done, len(images))

    @torch.no_grad()
    def _store(self, image: Path, path: Path) -> None:
        encoding = self._encode(read_image(image, FORMATS))
        self.head.eval()
        features = self.head.bottleneck(encoding.pyramid.float().unsqueeze(0))[0]
        place = encoding.placement
        inside = torch.zeros(TOKEN_SIDE, TOKEN_SIDE, dtype=torch.bool)
        inside[: place.rows, : place.columns] = True
        partial = path.with_suffix(".partial")
        save_file({"features": features.half(), "inside": inside}, partial)
        partial.rename(path)

    def image_rows(self, images: Sequence[Path]) -> Tensor:
        """Return (B, 128): the mean of the unit tokens that are image, of unit length.

        In training, of tokens drawn with torch's current seed.
        """
        stored = [load_file(self._stored[image]) for image in images]
        features = [one["features"][:, one["inside"]] for one in stored]
        if self.training:
            drawn = (torch.randint(one.shape[1], (TOKENS,)) for one in features)
            features = [one[:, chosen] for one, chosen in zip(features, drawn, strict=True)]
        # Every image has its own number of tokens; the rest of the rectangle is not counted.
        counts = torch.tensor([one.shape[1] for one in features])
        longest = int(counts.max())
        filled = torch.stack([F.pad(one, (0, longest - one.shape[1])) for one in features])
        counted = torch.arange(longest) < counts[:, None]
        device = self.head.scale.device
        tokens = self.head.unit_tokens(filled.to(device).float().unsqueeze(-1)).squeeze(-1)
        return F.normalize((tokens * counted.to(device).unsqueeze(1)).sum(2), dim=1)

    def text_rows(self, captions: Sequence[str]) -> Tensor:
        """Return (B, 128) unit rows; sentence embeddings are computed once per caption."""
        for caption in captions:
            if caption not in self._sentences:
                self._sentences[caption] = self._sentences_of([caption])[0].clone()
        return self.head.text(torch.stack([self._sentences[caption] for caption in captions]))

    def weights(self) -> dict[str, Tensor]:
        """Return the whole head, as the bundle's file holds it."""
        return {name: values.detach().contiguous() for name, values in self.head.state_dict().items()}


def _frozen(head: AlignmentHead) -> dict[str, Tensor]:
    learning = {name for name, parameter in head.named_parameters() if parameter.requires_grad}
    return {f"head.{name}": values for name, values in head.state_dict().items() if name not in learning}
