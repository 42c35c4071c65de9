"""Find where on a plane the prompts are meant (M2IB)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.method import Method
from models.stages import Saliency
from operators.findings import crop_map
from operators.graph_operator import GraphOperator
from operators.messages import PlaneImage, Stage
from operators.quantity import SALIENCY
from operators.run_record import RunRecord


class SaliencyOperator(GraphOperator):
    """Emits one map set per target; TARGET-ABSENT where the plane does not show it.

    Raises PromptError when a prompt is empty or too long.
    """

    stage = "saliency"
    inputs = ("plane",)
    output = "saliency"

    def __init__(
        self,
        fragment: Fragment,
        record: RunRecord,
        name: str,
        method: Method,
        prompts: Sequence[Sequence[str]],
    ) -> None:
        self.method = method
        self.texts = tuple(method.text(group) for group in prompts)
        super().__init__(fragment, record, name)

    def process(self, plane: PlaneImage) -> Stage[Saliency]:
        """Compute the maps of every target."""
        pairs = zip(self.texts, plane.seeds, strict=True)
        targets = tuple(self.method.saliency(plane.image, text, seed) for text, seed in pairs)
        if "saliency" in plane.maps:
            mean = np.stack([target.on_pixels() for target in targets])
            plane = replace(plane, saliency=crop_map(plane.index, mean, SALIENCY.floor, plane.area))
        return Stage(plane, targets)
