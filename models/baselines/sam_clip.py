"""SAM + CLIP: SaLIP stopped before SAM's second pass (SaLIP, section 4.4.2)."""

from dataclasses import replace

from models.baselines.contract import Context, Labels
from models.contracts import Image, PromptableSegmenter
from models.errors import Code
from models.evaluation.metrics import Mask
from models.salip.salip import segment
from models.salip.settings import SalipSettings


class SamClip:
    """The union of the regions that CLIP picks from what SAM segments on its own."""

    name = "sam-clip"
    labels: Labels = "none"
    uses_labels = False

    def __init__(self, settings: SalipSettings) -> None:
        self.settings = replace(settings, second_pass=False)

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say that the picked regions are the answer."""
        del segmenter
        return "The regions that the encoder picked are the answer, without a second pass. No labels used."

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the union (H, W) of the chosen regions, or the code why none was chosen."""
        return segment(context.segmenter, context.encoder, image, context.text, self.settings)
