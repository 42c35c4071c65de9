"""LiteMedSAM as a promptable segmenter: the shared TinyViT tower and segment-anything's decoder."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, PromptEncoder, TwoWayTransformer
from torch import Tensor, nn

from models.contracts import Candidates, Image, VisualPrompt
from models.encoders.tinyvit import EMBEDDING_SIDE, SIDE, TinyVitTower, scaled_size
from models.errors import Code, ModelError

BOXES_PER_PASS = 32


class LiteMedSam(nn.Module):
    """Box-prompted masks."""

    understands = frozenset({"boxes"})

    def __init__(self, tower: TinyVitTower) -> None:
        super().__init__()
        self.tower = tower
        self.prompt_encoder = PromptEncoder(
            embed_dim=256,
            image_embedding_size=(EMBEDDING_SIDE, EMBEDDING_SIDE),
            input_image_size=(SIDE, SIDE),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
            transformer_dim=256,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
        )
        self.requires_grad_(False)
        self.eval()

    def load_upstream(self, state: dict[str, Tensor]) -> None:
        """Load all three parts of a LiteMedSAM checkpoint. Raises ModelError where it does not fit."""
        self.tower.load_upstream(state)
        for part in ("prompt_encoder", "mask_decoder"):
            own = {n.removeprefix(f"{part}."): v for n, v in state.items() if n.startswith(f"{part}.")}
            try:
                getattr(self, part).load_state_dict(own, strict=True)
            except RuntimeError as error:
                message = f"the LiteMedSAM checkpoint's {part} does not fit its architecture: {error}"
                raise ModelError(Code.BUNDLE_INVALID, message) from error

    def embed(self, image: Image) -> Tensor:
        """Return the (256, 64, 64) embedding of an image; free when the tower has just seen it."""
        return self.tower.encode(image).embedding.float()

    @torch.inference_mode()
    def decode(
        self,
        embedding: Tensor,
        size: tuple[int, int],
        prompts: Sequence[VisualPrompt],
        multimask: bool = False,
    ) -> Candidates:
        """Return one mask per box, or three.

        Parameters
        ----------
        embedding
            (256, 64, 64), from :meth:`embed`.
        size
            (height, width) of the original image.
        prompts
            Boxes in pixels of the original image.
        multimask
            Three masks per box instead of one.

        Raises
        ------
        ModelError
            PROMPT-KIND-UNSUPPORTED: a prompt is not a box alone.
        """
        height, width = size
        boxes = [prompt.box for prompt in prompts if prompt.box is not None and not prompt.points]
        if len(boxes) < len(prompts):
            message = "LiteMedSAM understands boxes only; ask it with boxes, or choose another segmenter"
            raise ModelError(Code.PROMPT_KIND_UNSUPPORTED, message)
        masks_each = 3 if multimask else 1
        if not boxes:
            empty = np.zeros((0, masks_each), np.float32)
            return Candidates(np.zeros((0, masks_each, height, width), np.float32), empty)
        scale = SIDE / max(height, width)
        scaled = torch.tensor(boxes, dtype=torch.float32, device=embedding.device) * scale
        masks, qualities = [], []
        for part in scaled.split(BOXES_PER_PASS):
            sparse, dense = self.prompt_encoder(points=None, boxes=part[:, None, :], masks=None)
            logits, quality = self.mask_decoder(
                image_embeddings=embedding.unsqueeze(0),
                image_pe=self.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=multimask,
            )
            rows, columns = scaled_size(height, width)
            logits = logits[:, :, :rows, :columns]
            masks.append(F.interpolate(logits, size=size, mode="bilinear", align_corners=False).sigmoid())
            qualities.append(quality)
        return Candidates(torch.cat(masks).cpu().numpy(), torch.cat(qualities).cpu().numpy())
