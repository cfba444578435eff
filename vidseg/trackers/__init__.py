"""Trackers (plugins), and what fills the frames between boxes that a human drew."""
