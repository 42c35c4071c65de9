"""Read a folder of DICOM files into studies and series."""

from pathlib import Path

from monai.deploy.core import Fragment  # type: ignore[attr-defined]

from operators.graph_operator import GraphOperator
from operators.run_record import RunRecord
from operators.study import Folder, read_folder


class LoadStudyOperator(GraphOperator):
    """Emits what lies at ``path``, every file proved to be whole. Raises InputError (INPUT_EMPTY)."""

    stage = "load"
    output = "folder"

    def __init__(
        self, fragment: Fragment, record: RunRecord, name: str, *conditions: object, path: Path
    ) -> None:
        self.path = path
        super().__init__(fragment, record, name, *conditions)

    def process(self) -> Folder:
        """Read all headers."""
        return read_folder(self.path)
