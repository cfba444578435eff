"""Helpers that know nothing of videos or experiments: paths, threads, files, hashing, text."""
