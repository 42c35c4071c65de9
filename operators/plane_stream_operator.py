"""Hand a stack to the method plane by plane, so that only one plane's maps are in memory at a time."""

from collections.abc import Sequence

from monai.deploy.conditions import BooleanCondition  # type: ignore[attr-defined]
from monai.deploy.core import ConditionType, Fragment, OperatorSpec  # type: ignore[attr-defined]

from models.method import image_seed
from operators.graph_operator import GraphOperator
from operators.messages import PlaneImage
from operators.run_record import RunRecord
from operators.stack import ImageStack, VolumeStack
from operators.task import MapName


class PlaneStreamOperator(GraphOperator):
    """Emits one plane per tick until the stack is worked off.

    A plane leaves when the stage behind has room for it: the graph works on one plane at a time. ``maps`` are
    kept of the planes of a volume: of pictures there is no Parametric Map.
    """

    stage = "volume"
    inputs = ("stack",)
    output = "plane"

    def __init__(
        self,
        fragment: Fragment,
        record: RunRecord,
        name: str,
        prompts: Sequence[Sequence[str]],
        seed: int,
        maps: tuple[MapName, ...] = (),
    ) -> None:
        self.prompts = prompts
        self.seed = seed
        self.maps = maps
        self.stack: ImageStack | None = None
        self.next = 0
        self.more = BooleanCondition(fragment, name="more_planes", enable_tick=True)
        super().__init__(fragment, record, name, self.more)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports; the stack arrives once, and the operator ticks on without further input."""
        spec.input("stack").condition(ConditionType.NONE)
        spec.output("plane")

    def process(self, stack: ImageStack | None) -> PlaneImage | None:
        """Return the next plane."""
        self.stack = self.stack or stack
        if self.stack is None:
            return None
        total = len(self.stack.planes)
        view = self.stack.view(self.next)
        image = view.searched
        seeds = tuple(image_seed(image, group, self.seed) for group in self.prompts)
        maps = self.maps if isinstance(self.stack, VolumeStack) else ()
        plane = PlaneImage(self.next, total, image, view.window.rule, seeds, view.area, maps)
        self.next += 1
        if self.next == total:
            self.more.disable_tick()
        return plane
