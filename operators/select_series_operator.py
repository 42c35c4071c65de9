"""Take the one series that this run is about."""

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from operators.graph_operator import GraphOperator
from operators.run_record import RunRecord
from operators.study import Folder, Series


class SelectSeriesOperator(GraphOperator):
    """Emits the series that the plan chose; rules and order are in :mod:`operators.selection`.

    Raises InputError (NO_SERIES_SELECTED) when the folder does not hold it.
    """

    stage = "select"
    inputs = ("folder",)
    output = "series"

    def __init__(self, fragment: Fragment, record: RunRecord, name: str, series_instance_uid: str) -> None:
        self.series_instance_uid = series_instance_uid
        super().__init__(fragment, record, name)

    def process(self, folder: Folder) -> Series:
        """Find the series by its UID."""
        return folder.find(self.series_instance_uid)
