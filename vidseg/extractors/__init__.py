"""Extractors: frozen or trainable networks that turn an image into a pyramid of features."""
