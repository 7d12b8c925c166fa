"""`inyeon matching`: the simulator and the replay of waves."""
