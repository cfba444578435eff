"""What the generated videos are drawn from."""
