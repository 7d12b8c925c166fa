"""Engines, the identifier and metrics, as translation uses them."""
