"""What the agent sees: person mask, presence, unsafe-picture scores, content embedding."""
