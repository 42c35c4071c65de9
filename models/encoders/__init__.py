"""Dual encoders: an image tower and a text tower that meet in one space."""
