"""The demonstration: real images sent by DICOM from a simulated archive, and the results it gets back."""
