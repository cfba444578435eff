"""Work on videos before there are labels: which frames are worth labelling."""
