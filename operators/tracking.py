"""Under which identifier a finding is found again: in a re-run, and in a later study of the same patient.

There is no database of findings, so the identifier follows from what both studies say: PatientID and its
issuer, the task, label and type of the segment and the side of the body. Everything that one target covers
is one finding. The rule:

- An anatomical structure (category 91723000, SCT) keeps its identifier in every study of the patient.
- Anything else (a lesion, a free prompt) keeps it in every volume of the patient: "all that task breast-mass
  calls Mass in the left breast". Whether today's mass is the one of last year, or that one went and another
  came, the identifier does not know.
- Anything else in pictures keeps it in re-runs on the same image only: nothing tells whether the lesions of
  two pictures are one, and a match that is missed does less harm than two lesions taken for one.
- Without a PatientID it is kept in re-runs on the same series (or picture) only.

It is no match where an archive gives several patients one PatientID (a placeholder such as ANONYMOUS) or one
number without its issuer, and a match is missed where PatientID, its issuer, the side or the task's names
change between studies.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from operators import header as tags
from operators.identifiers import own_uid
from operators.slices import Slice
from operators.stack import ImageStack, VolumeStack
from operators.task import CodedConcept, Target, Task

ANATOMICAL_STRUCTURE = ("91723000", "SCT")
_SIDES = frozenset({"L", "R", "B"})


@dataclass(frozen=True)
class Tracking:
    """TrackingID, for people, and TrackingUID of a finding (PS3.3 C.8.20.2, PS3.16 TID 4108)."""

    identifier: str
    uid: str


def tracking_of(stack: ImageStack, plane: Slice | None, task: Task, target: Target) -> Tracking:
    """Return the identifiers of what ``target`` covers: in ``plane``, a picture, or in the whole series.

    All of a volume is one finding, whichever of its planes is given.
    """
    picture = None if isinstance(stack, VolumeStack) else plane
    header = (picture or stack.planes[0]).instance.header
    label = target.segment.label
    kind = target.segment.type
    content: dict[str, object] = {"task": task.name, "label": label, "type": [kind.scheme, kind.value]}
    names = [task.name, label]
    side = tags.text(header, "ImageLaterality") or tags.text(header, "Laterality")
    if side in _SIDES:
        content["side"] = side
        names.append(side)
    patient = tags.text(header, "PatientID")
    if patient and (isinstance(stack, VolumeStack) or _is_anatomy(target.segment.category)):
        content["patient"] = patient_key(patient, tags.text(header, "IssuerOfPatientID"))
    else:
        content["images"] = picture.reference if picture else stack.series.series_instance_uid
        if picture:
            names.append(f"image {_number(stack, picture)}")
    return Tracking("/".join(names)[:64], own_uid({"tracking": content}))


@lru_cache(maxsize=64)
def patient_key(patient_id: str, issuer: str) -> str:
    """Return what stands for a patient in an identifier that may outlive de-identification.

    Patient numbers are few enough to try them all, so the hash is a slow one (scrypt, about 50 ms): it makes
    guessing costly, not impossible.
    """
    text = f"{issuer}\x00{patient_id}".encode()
    return hashlib.scrypt(text, salt=b"textseg tracking", n=1 << 14, r=8, p=1, dklen=32).hex()


def _is_anatomy(category: CodedConcept) -> bool:
    return (category.value, category.scheme) == ANATOMICAL_STRUCTURE


def _number(stack: ImageStack, plane: Slice) -> str:
    """Return what people call a picture: its InstanceNumber or place in the series, and its frame."""
    number = tags.text(plane.instance.header, "InstanceNumber") or str(stack.planes.index(plane) + 1)
    return number if plane.instance.frames == 1 else f"{number} frame {plane.frame + 1}"
