"""Take the one series that this run is about."""

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from operators.gate import find
from operators.graph_operator import GraphOperator
from operators.run_record import RunRecord
from operators.study import Folder, Series


class SelectSeriesOperator(GraphOperator):
    """Emits the series, or the phase of one, that the plan chose; see :mod:`operators.selection`.

    Raises InputError (NO_SERIES_SELECTED) when the folder does not hold it.
    """

    stage = "select"
    inputs = ("folder",)
    output = "series"

    def __init__(self, fragment: Fragment, record: RunRecord, name: str, key: str) -> None:
        self.key = key
        super().__init__(fragment, record, name)

    def process(self, folder: Folder) -> Series:
        """Find the series by its key."""
        return find(folder, self.key)
