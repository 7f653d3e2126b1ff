"""What comes in and what goes out: rows, weights, targets and splits."""
