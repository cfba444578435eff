"""What tests share: generated data trees, clips, suites, records."""
