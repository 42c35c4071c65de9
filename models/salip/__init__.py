"""SaLIP: SAM segments everything, CLIP picks the regions, SAM refines them (arXiv 2404.06362)."""
