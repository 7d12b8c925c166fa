"""Facts and decisions of moderation, pure: standard library only."""
