"""Networks that are trained end to end with their extractor: models, training, inference."""
