"""The method on arrays: text-prompted saliency, SAM refinement, uncertainty.

No DICOM, no network and no MONAI Deploy in this room. Importing this package imports nothing heavy.
"""
