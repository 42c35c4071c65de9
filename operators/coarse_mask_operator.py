"""Binarise the saliency maps and keep their confident components."""

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.method import Method
from models.stages import Coarse, Saliency
from operators.graph_operator import GraphOperator
from operators.messages import Stage
from operators.run_record import RunRecord


class CoarseMaskOperator(GraphOperator):
    """Emits the components of every target and member; NO-COMPONENT where none is left."""

    stage = "coarse"
    inputs = ("saliency",)
    output = "coarse"

    def __init__(self, fragment: Fragment, record: RunRecord, name: str, method: Method) -> None:
        self.method = method
        super().__init__(fragment, record, name)

    def process(self, saliency: Stage[Saliency]) -> Stage[Coarse]:
        """Binarise every target's maps."""
        plane = saliency.plane
        return Stage(plane, tuple(self.method.coarse(plane.image, target) for target in saliency.targets))
