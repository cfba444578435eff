"""Executors: where the cells of a suite run."""
