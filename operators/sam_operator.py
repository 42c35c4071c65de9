"""Let SAM refine the components, a box each."""

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.method import Method
from models.stages import Coarse, Members
from operators.graph_operator import GraphOperator
from operators.messages import Stage
from operators.run_record import RunRecord


class SamOperator(GraphOperator):
    """Emits the members of every target: one probability map per full path."""

    stage = "sam"
    inputs = ("coarse",)
    output = "members"

    def __init__(self, fragment: Fragment, record: RunRecord, name: str, method: Method) -> None:
        self.method = method
        super().__init__(fragment, record, name)

    def process(self, coarse: Stage[Coarse]) -> Stage[Members]:
        """Refine every target."""
        plane = coarse.plane
        pairs = zip(coarse.targets, plane.seeds, strict=True)
        return Stage(plane, tuple(self.method.refine(plane.image, target, seed) for target, seed in pairs))
