"""Facts and decisions of matching: stdlib and numpy only; no clock, no input, no output."""
