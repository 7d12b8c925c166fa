"""Use cases of matching, one a verb."""
