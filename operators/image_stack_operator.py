"""Make a volume or a stack of pictures of a series, through the geometry gate."""

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.intensity import WindowChoice
from operators.graph_operator import GraphOperator
from operators.run_record import RunRecord
from operators.stack import ImageStack, build_stack
from operators.study import Series


class ImageStackOperator(GraphOperator):
    """Emits the stack of a series. Raises InputError or GeometryError with the reason of a refusal."""

    stage = "volume"
    inputs = ("series",)
    output = "stack"

    def __init__(self, fragment: Fragment, record: RunRecord, name: str, choice: WindowChoice) -> None:
        self.choice = choice
        super().__init__(fragment, record, name)

    def process(self, series: Series) -> ImageStack:
        """Judge the geometry, decode the pixels, choose the window."""
        stack = build_stack(series, self.choice)
        self.record.stack = stack
        return stack
