"""Un-prompted SAM: what the segmenter marks when nobody says what is meant (SaLIP, Table 1)."""

from models.baselines.contract import Context, Labels, found
from models.contracts import Image, PromptableSegmenter, VisualPrompt
from models.errors import Code
from models.evaluation.metrics import Mask
from models.segmenters.joint import joint_mask


class Unprompted:
    """The segmenter without a prompt; one that understands boxes only gets the box around the image."""

    name = "sam-unprompted"
    labels: Labels = "none"
    uses_labels = False

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say which of the two it was."""
        if "nothing" in segmenter.understands:
            return "The segmenter got no prompt. No labels used."
        return "The segmenter takes no empty prompt and got the box around the image. No labels used."

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the one mask (H, W), or NO-MASK."""
        segmenter = context.segmenter
        height, width = image.shape[:2]
        whole = (0.0, 0.0, float(width), float(height))
        prompt = VisualPrompt() if "nothing" in segmenter.understands else VisualPrompt(box=whole)
        return found(joint_mask(segmenter, image, [prompt]))
