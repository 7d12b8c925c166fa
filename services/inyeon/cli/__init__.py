"""The inyeon command, the only place that starts all services."""
