"""The networks of segmentation_models_pytorch as classifiers of vidseg."""
