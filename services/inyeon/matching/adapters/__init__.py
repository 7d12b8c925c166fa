"""Matching towards store, log, peers and metrics."""
