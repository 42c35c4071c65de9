"""The key images of a series (PS3.16 TID 2010, Key Object Selection): where a person should look first.

The rule: for every target the image on which it is largest, and the image whose segments are most uncertain
(largest mean entropy over them); each image once, in the order of the series.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from operators.equipment import observer, result_header
from operators.findings import PlaneFinding, mean_entropy
from operators.identity import encodable, stamp
from operators.provenance import NOT_FOR_DIAGNOSTIC_USE, Provenance
from operators.references import image_header
from operators.segmentation import needs_review
from operators.slices import Slice
from operators.stack import ImageStack, window_rule


@dataclass(frozen=True)
class KeyImage:
    """A plane of the stack, the targets that are largest on it, and whether it is the most uncertain one."""

    plane: int
    largest: tuple[int, ...]
    most_uncertain: bool


def key_images(findings: Sequence[PlaneFinding]) -> tuple[KeyImage, ...]:
    """Return what the rule selects; of planes that are alike, the first. Every finding has a mask."""
    targets = len(findings[0].masks)
    areas = [[int(finding.masks[target].sum()) for finding in findings] for target in range(targets)]
    largest = [area.index(max(area)) if any(area) else None for area in areas]
    doubts = [mean_entropy([finding]) or 0.0 for finding in findings]
    doubtful = doubts.index(max(doubts))
    return tuple(
        KeyImage(
            findings[index].plane,
            tuple(target for target in range(targets) if largest[target] == index),
            index == doubtful,
        )
        for index in range(len(findings))
        if index in largest or index == doubtful
    )


def key_object_selection(
    stack: ImageStack, findings: Sequence[PlaneFinding], provenance: Provenance
) -> KeyObjectSelectionDocument:
    """Return the note that selects the key images of ``findings``, each of which has a mask.

    Its title is (113000, DCM, Of Interest): what must not be used for diagnosis selects nothing "For
    Referring Provider".
    """
    chosen = key_images(findings)
    planes = [stack.planes[image.plane] for image in chosen]
    headers = [image_header(plane) for plane in planes]
    uid = provenance.instance_uid("KO", [plane.reference for plane in planes], window_rule(stack))
    description = encodable(_describe(chosen, provenance), stack.planes[0].instance.header)
    with disable_value_validation():
        content = KeyObjectSelection(
            codes.DCM.OfInterest,
            headers,
            observer_device_context=observer(provenance),
            description=description,
        )
        result = KeyObjectSelectionDocument(
            evidence=headers,
            content=content,
            **result_header("KO", uid, stack.series, provenance, needs_review(provenance, findings)),
        )
        _refine(result, planes)
        stamp(result, stack, provenance, [])
    return result


def _refine(result: Dataset, planes: Sequence[Slice]) -> None:
    """Name frames, and leave the references without a concept name, as TID 2010 has them."""
    for reference, plane in zip(result.ContentSequence[-len(planes) :], planes, strict=True):
        del reference.ConceptNameCodeSequence
        if plane.instance.frames > 1:
            reference.ReferencedSOPSequence[0].ReferencedFrameNumber = plane.frame + 1


def _describe(chosen: Sequence[KeyImage], provenance: Provenance) -> str:
    """Say of every key image, in the order they are referenced, why it is one."""
    labels = [target.segment.label for target in provenance.task.targets]
    lines = [f"{NOT_FOR_DIAGNOSTIC_USE}."]
    for number, image in enumerate(chosen, start=1):
        why = [f"largest area of {labels[target]}" for target in image.largest]
        why += ["highest mean uncertainty"] if image.most_uncertain else []
        lines.append(f"Image {number}: {', '.join(why)}.")
    return " ".join(lines)
