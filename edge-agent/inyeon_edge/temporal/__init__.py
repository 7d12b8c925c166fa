"""What only time can tell: smoothed masks, votes, presence, mask reuse. Pure numpy."""
