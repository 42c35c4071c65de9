"""The papers' ablations as literal tables: each row is what it changes (see :class:`Variant`).

The figures that the papers print depend on their weights and data; here only the shape is repeated, so that
a site that has both can fill it. Roles name bundles beside the run's own:

``fine-tuned``      BiomedCLIP after fine-tuning; the run's own bundle is the pre-trained one
``sam-vit-b``, ``sam-vit-l``, ``sam-vit-h``, ``medsam``, ``sam-med2d``      segmenters
"""

from collections.abc import Mapping
from dataclasses import dataclass

from models.evaluation.variant import Overrides, Variant

FIXED: Overrides = {"masks": {"binarise": "fixed", "threshold": 0.3}}
"""How maps are binarised before any post-processing: not printed; 0.3 is what the released tuning uses."""

NO_ENSEMBLE = "no checkpoint ensemble is trained for this data set"
WHOLE: Overrides = {"salip": {"area": (0.0, 1.01)}}
"""No mask is filtered out, not even one of the whole image."""

ROLES = ("fine-tuned", "sam-vit-b", "sam-vit-l", "sam-vit-h", "medsam", "sam-med2d")


@dataclass(frozen=True)
class Ablation:
    """A table of variants: ``paper`` names the table whose shape it has, ``caption`` says what to know."""

    paper: str
    caption: str
    variants: tuple[Variant, ...]


def _prompted(segmenter: str | None, name: str, kinds: tuple[str, ...]) -> tuple[Variant, ...]:
    return tuple(
        Variant(f"{name}, {kind}", {"visual": {"kind": kind}}, segmenter=segmenter) for kind in kinds
    )


ALL_KINDS = ("points", "boxes", "both")

ABLATIONS: Mapping[str, Ablation] = {
    "components": Ablation(
        "MedCLIP-SAMv2, Table 4",
        "Maps are binarised at 0.3 until post-processing; the paper does not say how.",
        (
            Variant("1: saliency maps", FIXED, stage="map"),
            Variant("2: + fine-tuning", FIXED, stage="map", encoder="fine-tuned"),
            Variant("3: + post-processing", stage="map", encoder="fine-tuned"),
            Variant("4: + connected components", stage="components", encoder="fine-tuned"),
            Variant("5: + SAM", encoder="fine-tuned"),
            Variant("3 without fine-tuning", stage="map"),
            Variant("4 without fine-tuning", stage="components"),
            Variant("5 without fine-tuning"),
            Variant("6: + nnU-Net ensemble", missing=NO_ENSEMBLE),
        ),
    ),
    "prompts": Ablation(
        "MedCLIP-SAMv2, Table 3",
        "P1, P3 and P5 follow each image's own subtype, a label. Choosing the best row uses the test set.",
        tuple(Variant(kind, kind=kind) for kind in ("P0", "P1", "P2", "P3", "P4", "P5")),
    ),
    "saliency": Ablation(
        "MedCLIP-SAMv2, Table 5",
        "gScoreCAM and GradCAM read a layer whose patches have a gradient; the released code's has none.",
        tuple(
            Variant(f"{name}, {label}", {"saliency": {"method": method}}, encoder=role)
            for role, name in ((None, "pre-trained"), ("fine-tuned", "fine-tuned"))
            for method, label in (("m2ib", "M2IB"), ("gscorecam", "gScoreCAM"), ("gradcam", "GradCAM"))
        ),
    ),
    "segmenter": Ablation(
        "MedCLIP-SAMv2, Table 6",
        "The same saliency maps everywhere.",
        (
            *_prompted(None, "the bundle's own", ALL_KINDS),
            *_prompted("sam-vit-h", "SAM ViT-H", ALL_KINDS),
            *_prompted("sam-med2d", "SAM-Med2D ViT-B", ALL_KINDS),
            *_prompted("medsam", "MedSAM ViT-B", ("boxes",)),
        ),
    ),
    "salip": Ablation(
        "SaLIP, Tables 2 to 6",
        "Table 3 of the paper had separate prompts for the two lungs; here it has those of the run.",
        (
            Variant("Table 2: right lung", {"salip": {"k": 1}}, method="salip", side="right"),
            Variant("Table 2: left lung", {"salip": {"k": 1}}, method="salip", side="left"),
            Variant("Table 2: both", {"salip": {"k": 2}}, method="salip", kind="VDT"),
            Variant("Table 3: box", {"salip": {"crop": "box"}}, method="salip"),
            Variant("Table 3: reverse blur", {"salip": {"crop": "reverse-box"}}, method="salip"),
            Variant("Table 3: contour", {"salip": {"crop": "contour"}}, method="salip"),
            Variant("Table 3: crops", {"salip": {"crop": "crop"}}, method="salip"),
            Variant("Table 4: SAM ViT-B", method="salip", segmenter="sam-vit-b"),
            Variant("Table 4: SAM ViT-L", method="salip", segmenter="sam-vit-l"),
            Variant("Table 4: SAM ViT-H", method="salip", segmenter="sam-vit-h"),
            Variant("Table 5: SAM + CLIP", method="salip", baseline="sam-clip"),
            Variant("Table 5: SaLIP", method="salip"),
            Variant("Table 6: no area filter", WHOLE, method="salip"),
            Variant("Table 6: area filter", method="salip"),
        ),
    ),
}
