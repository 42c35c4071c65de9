"""From saliency to coarse masks: binarise, components, boxes."""
