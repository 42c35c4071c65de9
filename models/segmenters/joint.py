"""Several prompts to a segmenter, one mask."""

from collections.abc import Sequence

from models.contracts import Image, PromptableSegmenter, VisualPrompt
from models.segmenters.prompts import Mask, ask, union
from models.uncertainty import THRESHOLD


def joint_mask(segmenter: PromptableSegmenter, image: Image, prompts: Sequence[VisualPrompt]) -> Mask:
    """Return the pixels (H, W) that any prompt's mask holds; one query per prompt, single-mask output.

    No prompts, no pixels. Raises ModelError (PROMPT-KIND-UNSUPPORTED) for prompts that the segmenter does not
    understand.
    """
    size = (image.shape[0], image.shape[1])
    probability, _ = ask(segmenter, segmenter.embed(image), size, prompts)
    return union(probability > THRESHOLD)
