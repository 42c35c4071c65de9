"""Text-prompted saliency: where in an image a text is meant."""
