"""Samplers: which frames of the training videos are used."""
