"""Pixels in and out: image folders, clips, containers, resizing."""
