"""Let the members vote: a checkpoint ensemble that was trained for the prompts, or the method's own."""

from collections.abc import Sequence

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from models.method import Method
from models.stages import Members, Vote
from operators.graph_operator import GraphOperator
from operators.messages import Stage
from operators.run_record import RunRecord

BATCH = 16
"""Planes that wait for each other, so that every checkpoint is read once for all of them."""


class EnsembleOperator(GraphOperator):
    """Emits the votes of one plane, or of a batch of planes where a target has an ensemble.

    Raises ModelError (MODEL-MISSING, MEMBER-INVALID) where an ensemble's files are not those that it was
    opened with: no vote of fewer members passes for that of the ensemble.
    """

    stage = "ensemble"
    inputs = ("members",)
    output = "votes"

    def __init__(
        self,
        fragment: Fragment,
        record: RunRecord,
        name: str,
        method: Method,
        prompts: Sequence[Sequence[str]],
    ) -> None:
        self.method = method
        self.ensembles = tuple(method.ensemble_for(group) for group in prompts)
        self.waiting: list[Stage[Members]] = []
        super().__init__(fragment, record, name)

    def process(self, members: Stage[Members]) -> tuple[Stage[Vote], ...] | None:
        """Return the votes of the planes that waited, or None while more of them are to come."""
        self.waiting.append(members)
        last = members.plane.index + 1 == members.plane.total
        if any(self.ensembles) and len(self.waiting) < BATCH and not last:
            return None
        batch, self.waiting = self.waiting, []
        by_target = [self._vote(batch, target) for target in range(len(self.ensembles))]
        return tuple(
            Stage(stage.plane, votes)
            for stage, votes in zip(batch, zip(*by_target, strict=True), strict=True)
        )

    def _vote(self, batch: Sequence[Stage[Members]], target: int) -> list[Vote]:
        found = [stage.targets[target] for stage in batch]
        ensemble = self.ensembles[target]
        if ensemble is None:
            return [self.method.vote(own) for own in found]
        votes = self.method.vote_by(ensemble, [stage.plane.image for stage in batch], found)
        if self.method.settings.ensemble.converged is not None:
            self._count(target, [vote.members for vote in votes if vote.members])
        return votes

    def _count(self, target: int, members: Sequence[int]) -> None:
        """Remember how many members were asked on a plane, the fewest and the most."""
        counts = (*members, *self.record.asked.get(target, ()))
        if counts:
            self.record.asked[target] = min(counts), max(counts)
