"""Parts of the data set ``cvat``."""
