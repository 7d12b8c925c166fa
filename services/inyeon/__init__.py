"""The Inyeon services."""
