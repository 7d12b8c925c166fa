"""The demo: the platform and three agents as processes, and a story that is only watched."""
