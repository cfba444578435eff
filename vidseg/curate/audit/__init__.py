"""An existing split: what of its test pictures was seen in training, and a split without that."""
