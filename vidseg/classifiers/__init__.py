"""Classifiers: linear heads on frozen features, and networks that train the extractor."""
