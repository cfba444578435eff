"""Promptable video segmentation for vidseg: a tracker and a source of masks."""
