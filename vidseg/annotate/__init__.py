"""Annotation folders: written edit by edit, filled by trackers, and a simulated annotator."""
