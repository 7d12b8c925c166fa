"""Matching towards devices and operators."""
