"""What was said, in the other's language."""
