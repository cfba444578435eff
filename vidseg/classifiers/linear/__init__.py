"""Linear classifiers on frozen features: one weight per channel, one bias."""
