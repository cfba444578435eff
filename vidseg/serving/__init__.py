"""Fitted models applied to new images."""
