"""MONAI Deploy operators: they translate between DICOM objects and :mod:`models`.

Importing this package imports nothing heavy; the listener relies on that.
"""
