"""LiteMedSAM as a promptable segmenter: the shared TinyViT tower and segment-anything's decoder."""

from typing import ClassVar

from torch import Tensor

from models.contracts import Image
from models.encoders.tinyvit import EMBEDDING_SIDE, SIDE, TinyVitTower, scaled_size
from models.errors import Code, ModelError
from models.segmenters.family import Frame, SamFamily


class LiteMedSam(SamFamily):
    """Box-prompted masks from an image whose longest side is 256."""

    title = "LiteMedSAM"
    understands: ClassVar = frozenset({"boxes"})

    def __init__(self, tower: TinyVitTower) -> None:
        super().__init__(SIDE, EMBEDDING_SIDE)
        self.tower = tower
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

    def frame(self, size: tuple[int, int]) -> Frame:
        """Return the frame of LiteMedSAM's own rule: longest side to 256, exactly this scale on both axes."""
        scale = SIDE / max(size)
        rows, columns = scaled_size(*size)
        return Frame(size, SIDE, rows, columns, (scale, scale))
