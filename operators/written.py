"""A result that was written, as later objects of the same run refer to it."""

from dataclasses import dataclass
from typing import Self

from pydicom.dataset import Dataset


@dataclass(frozen=True)
class Written:
    """What a reference to a result names; ``plane`` is the index of the picture it was made of, if of one.

    ``content_label`` is the result's ContentLabel: of a Parametric Map, which quantity it shows.
    """

    kind: str
    study_instance_uid: str
    series_instance_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    plane: int | None = None
    content_label: str = ""

    @classmethod
    def of(cls, result: Dataset, kind: str, plane: int | None = None) -> Self:
        """Return the reference to ``result``."""
        return cls(
            kind,
            str(result.StudyInstanceUID),
            str(result.SeriesInstanceUID),
            str(result.SOPClassUID),
            str(result.SOPInstanceUID),
            plane,
            str(result.get("ContentLabel", "")),
        )

    @property
    def header(self) -> Dataset:
        """The four UIDs as a data set, of which highdicom makes the evidence of a document."""
        header = Dataset()
        header.StudyInstanceUID = self.study_instance_uid
        header.SeriesInstanceUID = self.series_instance_uid
        header.SOPClassUID = self.sop_class_uid
        header.SOPInstanceUID = self.sop_instance_uid
        return header
