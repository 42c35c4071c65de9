"""Fine-tuning of a dual encoder on pairs of image and caption, and the comparison of the losses."""
