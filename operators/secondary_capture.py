"""Secondary Captures (PS3.3 A.8): a picture of mask and uncertainty, and the note that nothing was found.

Results without a Frame of Reference cannot be shown as maps by the target viewer, so people get a picture.
It carries its warning in the pixels, because a picture travels without its header.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from highdicom.sc import SCImage
from highdicom.sr import CodedConcept as Concept
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from operators import header as tags
from operators.equipment import result_header
from operators.findings import PlaneFinding
from operators.identity import encodable, local_time, stamp
from operators.provenance import NOT_FOR_DIAGNOSTIC_USE, Provenance
from operators.segmentation import needs_review, refer_to_frame
from operators.slices import Slice
from operators.stack import ImageStack

Pixels = npt.NDArray[np.uint8]

PANEL = 640
"""Longest side of a panel in pixels."""
_STRIP = 28
_NOTE_SIZE = (640, 400)
_MASK_COLOUR = (255, 80, 60)
_HEAT = np.array([(0, 0, 0), (70, 0, 110), (190, 40, 90), (250, 140, 30), (255, 255, 170)], dtype=np.float64)
"""Dark to bright for entropies of 0, 0.25, 0.5, 0.75 and 1 bit."""


def picture_of(stack: ImageStack, finding: PlaneFinding, provenance: Provenance) -> SCImage:
    """Return the Secondary Capture of one plane: outline of the mask on the left, entropy on the right."""
    plane = stack.planes[finding.plane]
    image, rows, columns = stack.view(finding.plane).image, plane.instance.rows, plane.instance.columns
    scale = min(1.0, PANEL / max(rows, columns))
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    shown = np.asarray(Picture.fromarray(image).resize(size, Picture.Resampling.BILINEAR), dtype=np.uint8)
    mask = np.any(finding.full_masks(rows, columns), axis=0).astype(np.uint8)
    outlined = outline(
        shown, np.asarray(Picture.fromarray(mask).resize(size, Picture.Resampling.NEAREST)) > 0
    )
    entropy = Picture.fromarray(finding.full_entropy(rows, columns)).resize(size, Picture.Resampling.BILINEAR)
    pixels = side_by_side([outlined, heat(shown, np.asarray(entropy))], _caption(provenance))
    result = _capture(stack, [plane], provenance, pixels, finding.window, needs_review(provenance, [finding]))
    result.BurnedInAnnotation = tags.text(plane.instance.header, "BurnedInAnnotation") or "YES"
    refer_to_frame(result, plane)
    return result


def note(stack: ImageStack, provenance: Provenance, headline: str, details: Sequence[str]) -> SCImage:
    """Return the small Secondary Capture that says in words how the method ended on a whole series.

    It shows no image and no identity: the headline, the prompts, the software and the series.
    """
    series = stack.series
    wordings = [f"Prompt: {' | '.join(group)}" for group in provenance.prompts]
    lines = [
        *details,
        *wordings,
        f"Task {provenance.task.name}, bundle {provenance.bundle} {provenance.bundle_version}",
        f"textseg {provenance.software_version}",
        f"Series {series.text('SeriesNumber') or '(no number)'} ({series.modality}, {series.images} images)",
        series.series_instance_uid,
    ]
    pixels = written_page(headline, lines)
    result = _capture(stack, stack.planes, provenance, pixels, headline)
    result.BurnedInAnnotation = "NO"
    return result


def outline(image: Pixels, mask: npt.NDArray[np.bool_]) -> Pixels:
    """Return the image with the mask tinted and its border drawn; (H, W, 3) uint8."""
    tinted = image.copy()
    colour = np.array(_MASK_COLOUR, dtype=np.float64)
    tinted[mask] = (0.7 * image[mask] + 0.3 * colour).astype(np.uint8)
    tinted[mask & ~_eroded(_eroded(mask))] = colour.astype(np.uint8)
    return tinted


def heat(image: Pixels, entropy: npt.NDArray[np.float32]) -> Pixels:
    """Return the darkened image under a heat map of entropy in bits (0 to 1); (H, W, 3) uint8."""
    stops = np.linspace(0.0, 1.0, len(_HEAT))
    level = np.clip(entropy, 0.0, 1.0).astype(np.float64)
    colour = np.stack([np.interp(level, stops, _HEAT[:, channel]) for channel in range(3)], axis=-1)
    weight = np.where(entropy > 0, 0.75, 0.0)[..., None]
    mixed: npt.NDArray[np.float64] = (1 - weight) * (0.6 * image) + weight * colour
    return mixed.astype(np.uint8)


def side_by_side(panels: Sequence[Pixels], caption: str) -> Pixels:
    """Join panels of one size under a strip with the caption and above one with the warning."""
    height, width = panels[0].shape[:2]
    page = Picture.new("RGB", (max(width * len(panels), PANEL), height + 2 * _STRIP))
    for number, panel in enumerate(panels):
        page.paste(Picture.fromarray(panel), (number * page.width // len(panels), _STRIP))
    draw = ImageDraw.Draw(page)
    draw.text((8, 6), _drawable(caption), fill=(230, 230, 230), font=ImageFont.load_default(14))
    warning = f"{NOT_FOR_DIAGNOSTIC_USE}   left: mask   right: uncertainty (bright: members disagree)"
    draw.text((8, height + _STRIP + 6), warning, fill=(255, 210, 60), font=ImageFont.load_default(14))
    return np.asarray(page, dtype=np.uint8)


def written_page(headline: str, lines: Sequence[str]) -> Pixels:
    """Return a page with a headline, lines of text and the warning; (400, 640, 3) uint8."""
    page = Picture.new("RGB", _NOTE_SIZE)
    draw = ImageDraw.Draw(page)
    draw.text((16, 14), NOT_FOR_DIAGNOSTIC_USE, fill=(255, 210, 60), font=ImageFont.load_default(20))
    draw.text((16, 52), _drawable(headline), fill=(255, 255, 255), font=ImageFont.load_default(26))
    wrapped = [line[start : start + 80] for line in lines for start in range(0, max(1, len(line)), 80)]
    for number, line in enumerate(wrapped[:15]):
        draw.text(
            (16, 100 + 19 * number), _drawable(line), fill=(210, 210, 210), font=ImageFont.load_default(14)
        )
    return np.asarray(page, dtype=np.uint8)


def _capture(
    stack: ImageStack,
    planes: Sequence[Slice],
    provenance: Provenance,
    pixels: Pixels,
    rule: str,
    review: bool = False,
) -> SCImage:
    uid = provenance.instance_uid("SC", [plane.reference for plane in planes], rule)
    with disable_value_validation():
        result = SCImage(
            pixel_array=pixels,
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            study_instance_uid=stack.series.study_instance_uid,
            patient_orientation=("L", "P"),
            **result_header("SC", uid, stack.series, provenance, review),
        )
        _refine(result, stack, planes, provenance, rule)
        stamp(result, stack, provenance, [])
    return result


def _refine(
    result: Dataset, stack: ImageStack, planes: Sequence[Slice], provenance: Provenance, rule: str
) -> None:
    """Add what highdicom's constructor has no argument for, and take out what we cannot know."""
    source = stack.planes[0].instance.header
    moment = local_time(provenance.quiet_at, source)
    result.DateOfSecondaryCapture = moment.strftime("%Y%m%d")
    result.TimeOfSecondaryCapture = moment.strftime("%H%M%S")
    result.PatientOrientation = tags.value(source, "PatientOrientation") or ""
    result.ConversionType = "WSD"
    result.ImageComments = provenance.record(rule)[:10240]
    result.DerivationDescription = encodable(" | ".join(sum(provenance.prompts, ())), source)[:1024]
    result.DerivationCodeSequence = [Concept.from_code(codes.DCM.ImageProcessing)]
    side = tags.text(source, "Laterality")
    result.Laterality = side if side in {"L", "R"} else ""
    series = Dataset()
    series.SeriesInstanceUID = stack.series.series_instance_uid
    by_instance = {plane.instance.sop_instance_uid: plane for plane in planes}
    series.ReferencedInstanceSequence = [_reference(plane) for plane in by_instance.values()]
    result.ReferencedSeriesSequence = [series]
    result.SourceImageSequence = [_reference(plane) for plane in by_instance.values()]


def _reference(plane: Slice) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = plane.instance.sop_class_uid
    item.ReferencedSOPInstanceUID = plane.instance.sop_instance_uid
    return item


def _caption(provenance: Provenance) -> str:
    labels = ", ".join(target.segment.label for target in provenance.task.targets)
    return f"textseg {provenance.software_version}: {labels} ({provenance.task.name})"


def _drawable(text: str) -> str:
    """Replace what the built-in font cannot draw."""
    return text.encode("latin-1", "replace").decode("latin-1")


def _eroded(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    result: npt.NDArray[np.bool_] = (
        padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    )
    return result
