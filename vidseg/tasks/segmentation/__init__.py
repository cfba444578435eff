"""Binary segmentation: masks, counts per frame, and every score from counts."""
