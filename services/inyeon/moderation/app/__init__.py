"""Use cases of moderation, one per verb."""
