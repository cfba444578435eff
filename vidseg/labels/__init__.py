"""Training labels: their sources (plugins), and how boxes are refined. Tests use the truth."""
