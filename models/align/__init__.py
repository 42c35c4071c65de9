"""Training of the alignment head: the corpus, the features, the losses' use and the cross-fit."""
