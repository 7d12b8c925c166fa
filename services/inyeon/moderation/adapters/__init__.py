"""Store, log, policy files and signed passes of moderation."""
