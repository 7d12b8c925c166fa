"""The door: development identity, signalling, the status page."""
