"""Turns pinned public packages into the model files that everybody runs."""
