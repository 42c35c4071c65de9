"""Bundles: which encoder and segmenter belong together, their files, hashes, licences and defaults."""
