"""Towards the platform: windows, ring, resumable streams, identity."""
