"""Parts of the data set ``coco``."""
