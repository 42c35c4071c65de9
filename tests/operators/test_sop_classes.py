"""Results, ours and those of others, are never taken for images."""

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    CTImageStorage,
    EnhancedSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from operators.sop_classes import expects_pixels, is_excluded

RESULTS = (
    SegmentationStorage,
    UID("1.2.840.10008.5.1.4.1.1.66.7"),  # Label Map Segmentation
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    BasicTextSRStorage,
    EnhancedSRStorage,
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    GrayscaleSoftcopyPresentationStateStorage,
)


@pytest.mark.parametrize("sop_class", RESULTS, ids=str)
def test_results_are_excluded_whatever_modality_they_claim(sop_class):
    assert is_excluded(sop_class, "CT")
    image = Dataset()
    image.SOPClassUID, image.Modality = sop_class, "CT"
    assert not expects_pixels(image)


@pytest.mark.parametrize("modality", ["SEG", "SR", "KO", "PR"])
def test_results_are_excluded_whatever_class_they_claim(modality):
    assert is_excluded(CTImageStorage, modality)
    assert not is_excluded(CTImageStorage, "CT")
