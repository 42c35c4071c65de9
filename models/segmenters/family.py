"""What the SAM family shares: segment-anything's prompt encoder and mask decoder, and one decode.

The members differ in their image encoder and in how an image lies in their square input. The second is a
:class:`Frame`; everything else about prompts and masks is here.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from models.contracts import Candidates, Image, VisualPrompt
from models.errors import Code, ModelError

PROMPTS_PER_PASS = 32
MULTIMASK = 3
CHANNELS = 256


@dataclass(frozen=True)
class Frame:
    """Where an image of (height, width) = ``size`` lies in a model's square input of ``side`` pixels.

    The image fills ``rows`` and ``columns`` from the top left corner, padding the rest; ``scale`` is input
    pixels per image pixel along x and y.
    """

    size: tuple[int, int]
    side: int
    rows: int
    columns: int
    scale: tuple[float, float]

    @classmethod
    def stretched(cls, size: tuple[int, int], side: int) -> "Frame":
        """Return the frame of an image whose both sides are stretched to ``side``."""
        height, width = size
        return cls(size, side, side, side, (side / width, side / height))

    @classmethod
    def longest_side(cls, size: tuple[int, int], side: int) -> "Frame":
        """Return SAM's frame: the longest side becomes ``side``; the other follows, half up, at least 1."""
        height, width = size
        scale = side / max(height, width)
        rows, columns = max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        return cls(size, side, rows, columns, (columns / width, rows / height))

    def to_input(self, xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map (..., 2) coordinates (x, y) from pixels of the image to pixels of the input."""
        moved: npt.NDArray[np.float64] = np.asarray(xy, np.float64) * np.array(self.scale)
        return moved

    def to_image(self, xy: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Map (..., 2) coordinates (x, y) from pixels of the input to pixels of the image."""
        moved: npt.NDArray[np.float64] = np.asarray(xy, np.float64) / np.array(self.scale)
        return moved


class SamFamily(nn.Module, ABC):
    """A promptable segmenter with segment-anything's decoder (:class:`models.contracts.PromptableSegmenter`).

    ``side`` is the width of the square input in pixels, ``tokens`` that of the image embedding.
    """

    title: ClassVar[str]
    understands: ClassVar[frozenset[str]]

    def __init__(self, side: int, tokens: int) -> None:
        super().__init__()
        self.side = side
        self.prompt_encoder = PromptEncoder(
            embed_dim=CHANNELS,
            image_embedding_size=(tokens, tokens),
            input_image_size=(side, side),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=MULTIMASK,
            transformer=TwoWayTransformer(depth=2, embedding_dim=CHANNELS, mlp_dim=2048, num_heads=8),
            transformer_dim=CHANNELS,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )

    @abstractmethod
    def embed(self, image: Image) -> Tensor:
        """Return the (256, tokens, tokens) embedding of an image. Expensive; cached by pixel hash."""

    @abstractmethod
    def frame(self, size: tuple[int, int]) -> Frame:
        """Return how an image of (height, width) = ``size`` lies in the input."""

    @torch.inference_mode()
    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        """Return one mask per prompt, or three.

        Parameters
        ----------
        embedding
            (256, tokens, tokens), from :meth:`embed`.
        size
            (height, width) of the original image.
        prompts
            In pixels of the original image. A point (x, y) is column and row of a pixel, as in SAM.
        multimask
            Three masks per prompt instead of one.

        Raises
        ------
        ModelError
            PROMPT-KIND-UNSUPPORTED: the model was not made for a prompt of this kind.
        """
        self._check(prompts)
        frame = self.frame(size)
        masks_each = MULTIMASK if multimask else 1
        probability = np.zeros((len(prompts), masks_each, *size), np.float32)
        quality = np.zeros((len(prompts), masks_each), np.float32)
        for indices in _passes(prompts):
            logits, trust = self._logits(embedding, frame, [prompts[i] for i in indices], multimask)
            probability[indices] = self._probability(logits, frame).cpu().numpy()
            quality[indices] = trust.cpu().numpy()
        return Candidates(probability, quality)

    def _check(self, prompts: Sequence[VisualPrompt]) -> None:
        asked = {kind for prompt in prompts for kind in kinds(prompt)}
        if foreign := asked - self.understands:
            own = " and ".join(sorted(self.understands))
            message = (
                f"{self.title} understands {own} only, it was asked with {' and '.join(sorted(foreign))}; "
                "change the prompts or choose another segmenter"
            )
            raise ModelError(Code.PROMPT_KIND_UNSUPPORTED, message)

    def _logits(
        self, embedding: Tensor, frame: Frame, prompts: Sequence[VisualPrompt], multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Return logits (N, K, 4 * tokens, 4 * tokens) and predicted IoU (N, K) of prompts of one kind."""
        points, boxes = None, None
        if prompts[0].points:
            xy = [[(point.x, point.y) for point in prompt.points] for prompt in prompts]
            inside = [[int(point.inside) for point in prompt.points] for prompt in prompts]
            points = (_tensor(frame.to_input(xy), embedding), torch.tensor(inside, device=embedding.device))
        if prompts[0].box is not None:
            corners = np.array([prompt.box for prompt in prompts], np.float64).reshape(-1, 2, 2)
            boxes = _tensor(frame.to_input(corners), embedding).reshape(-1, 4)
        sparse, dense = self.prompt_encoder(points=points, boxes=boxes, masks=None)
        logits, quality = self.mask_decoder(
            image_embeddings=embedding.unsqueeze(0),
            image_pe=self.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
        )
        return logits, quality

    def _probability(self, logits: Tensor, frame: Frame) -> Tensor:
        """Map logits to probabilities (N, K, H, W): upsample to the input, cut the padding, upsample."""
        side = (frame.side, frame.side)
        logits = F.interpolate(logits, side, mode="bilinear", align_corners=False)
        logits = logits[:, :, : frame.rows, : frame.columns]
        return F.interpolate(logits, frame.size, mode="bilinear", align_corners=False).sigmoid()


def kinds(prompt: VisualPrompt) -> frozenset[str]:
    """Return what a prompt is made of: ``boxes``, ``points``, both, or ``nothing``."""
    made_of = {"boxes": prompt.box is not None, "points": bool(prompt.points)}
    return frozenset(kind for kind, has in made_of.items() if has) or frozenset({"nothing"})


def _passes(prompts: Sequence[VisualPrompt]) -> Iterator[list[int]]:
    """Yield indices of prompts that fit into one batch: as many points each, with or without a box."""
    alike: dict[tuple[bool, int], list[int]] = {}
    for index, prompt in enumerate(prompts):
        alike.setdefault((prompt.box is not None, len(prompt.points)), []).append(index)
    for indices in alike.values():
        for start in range(0, len(indices), PROMPTS_PER_PASS):
            yield indices[start : start + PROMPTS_PER_PASS]


def _tensor(values: npt.NDArray[np.float64], like: Tensor) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32, device=like.device)
