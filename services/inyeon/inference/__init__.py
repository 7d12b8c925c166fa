"""The seam to heavy models."""
