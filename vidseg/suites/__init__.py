"""Suites: whole protocols as data, expanded into cells, run, resumed, and turned into records."""
