"""Gather the votes on the planes of a stack into its findings."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.errors import Code
from models.stages import Vote
from operators.findings import (
    Findings,
    FloatArray,
    PlaneFinding,
    PlaneMap,
    crop_finding,
    crop_map,
    without_isolated_findings,
)
from operators.graph_operator import GraphOperator
from operators.messages import Stage
from operators.quantity import QUANTITIES
from operators.run_record import RunRecord
from operators.stack import VolumeStack
from operators.task import MapName

_VOTED: dict[MapName, Callable[[Vote], FloatArray]] = {
    "mutual-information": lambda vote: vote.mutual_information,
    "probability": lambda vote: vote.probability,
}


class VoteOperator(GraphOperator):
    """Emits the findings of the stack after its last plane.

    Several targets are decided alone, each by its own mean probability > 0.5; where they overlap, a voxel
    belongs to all of them. In a volume, what is isolated along the slice axis is then taken away
    (:mod:`models.ensemble.isolated`).
    """

    stage = "vote"
    inputs = ("votes",)
    output = "findings"

    def __init__(self, fragment: Fragment, record: RunRecord, name: str) -> None:
        self.planes: list[PlaneFinding] = []
        self.absent: Counter[Code] = Counter()
        self.maps: defaultdict[MapName, list[PlaneMap]] = defaultdict(list)
        super().__init__(fragment, record, name)

    def process(self, stages: Sequence[Stage[Vote]]) -> Findings | None:
        """Take the votes of some planes; after the last one return what was found."""
        for stage in stages:
            self._count(stage)
        plane = stages[-1].plane
        self.record.progress(plane.index + 1, plane.total)
        if plane.index + 1 < plane.total:
            return None
        further = {name: tuple(maps) for name, maps in self.maps.items()}
        findings = Findings(tuple(self.planes), tuple(sorted(self.absent.items())), further)
        if isinstance(self.record.stack, VolumeStack):
            findings = without_isolated_findings(findings, self.record.stack.grid.spacing[0])
        self.record.findings = findings
        return findings

    def _count(self, stage: Stage[Vote]) -> None:
        plane, votes = stage.plane, stage.targets
        self.absent.update(vote.status for vote in votes if vote.status is not None)
        masks = np.stack([vote.mask for vote in votes])
        entropy = np.stack([vote.entropy for vote in votes])
        finding = crop_finding(plane.index, plane.window, masks, entropy, plane.area)
        if finding is not None:
            self.planes.append(finding)
        for name in plane.maps:
            kept = _map(name, stage)
            if kept is not None:
                self.maps[name].append(kept)


def _map(name: MapName, stage: Stage[Vote]) -> PlaneMap | None:
    """Return a quantity on the plane, where it reaches its floor."""
    plane = stage.plane
    if name == "saliency":
        return plane.saliency
    values = np.stack([_VOTED[name](vote) for vote in stage.targets])
    return crop_map(plane.index, values, QUANTITIES[name].floor, plane.area)
