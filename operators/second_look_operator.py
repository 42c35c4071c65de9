"""Look closer at what was found on a plane."""

from collections.abc import Sequence

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.method import Method
from models.stages import Members
from operators.graph_operator import GraphOperator
from operators.messages import Stage
from operators.run_record import RunRecord


class SecondLookOperator(GraphOperator):
    """Emits the members of every target, with those of a second look where that agrees.

    Where a checkpoint ensemble will vote, the method's own members only say where, and one look does.
    """

    stage = "second-look"
    inputs = ("members",)
    output = "members"

    def __init__(
        self,
        fragment: Fragment,
        record: RunRecord,
        name: str,
        method: Method,
        prompts: Sequence[Sequence[str]],
    ) -> None:
        self.method = method
        self.texts = tuple(
            method.text(group) if method.ensemble_for(group) is None else None for group in prompts
        )
        super().__init__(fragment, record, name)

    def process(self, members: Stage[Members]) -> Stage[Members]:
        """Look again at every target that no ensemble votes on."""
        plane = members.plane
        looks = zip(self.texts, members.targets, plane.seeds, strict=True)
        return Stage(
            plane,
            tuple(
                first if text is None else self.method.look_again(plane.image, text, first, seed)
                for text, first, seed in looks
            ),
        )
