"""Find where on a plane the prompts are meant (M2IB)."""

from collections.abc import Sequence

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.method import Method
from models.stages import Saliency
from operators.graph_operator import GraphOperator
from operators.messages import PlaneImage, Stage
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
        return Stage(plane, tuple(self.method.saliency(plane.image, text, seed) for text, seed in pairs))
