"""The papers' data sets in the folders they come in; docs/datasets.md says where to get them."""
