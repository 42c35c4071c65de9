"""Weak supervision: pseudo-labels, nnU-Net trained on them in cycles, its checkpoints as members."""
