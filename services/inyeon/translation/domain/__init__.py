"""Facts and decisions about sentences: pure, no clock, no process, no network."""
