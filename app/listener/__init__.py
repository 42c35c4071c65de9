"""The listener: DIMSE in, files out. It imports no torch, monai or holoscan and is ready in two seconds."""
