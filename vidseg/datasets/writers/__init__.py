"""Data sets written in other formats: one file for each."""
