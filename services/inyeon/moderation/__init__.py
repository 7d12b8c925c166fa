"""What is safe, who decides, who may appeal."""
