"""Parts of the data set ``yolo``."""
