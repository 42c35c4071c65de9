"""SAM with boxes from the truth: what perfect boxes would give. A bound, not a method."""

import numpy as np

from models.baselines.contract import Context, Labels, found, needed_truth
from models.contracts import Image, PromptableSegmenter, VisualPrompt
from models.errors import Code
from models.evaluation.metrics import Mask
from models.masks.components import components
from models.segmenters.joint import joint_mask


class TruthBoxes:
    """One tight box, without a margin, per 8-connected component of the truth; the union of the masks."""

    name = "sam-truth-boxes"
    labels: Labels = "truth"
    uses_labels = True

    def statement(self, segmenter: PromptableSegmenter) -> str:
        """Say that this is a bound."""
        del segmenter
        return "Bound, uses the truth: the segmenter got the tight box of each component of the true mask."

    def segment(self, image: Image, context: Context) -> Mask | Code:
        """Return the union (H, W); NO-COMPONENT where the truth is empty, NO-MASK where the answer is."""
        truth = needed_truth(context, self.name)
        boxes = [one.box for one in components(truth, np.zeros(truth.shape, np.float32))]
        if not boxes:
            return Code.NO_COMPONENT
        return found(joint_mask(context.segmenter, image, [VisualPrompt(box=box) for box in boxes]))
