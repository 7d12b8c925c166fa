"""A simulated crowd before the real pool and the real waves. Every figure from here is SIMULATED.

Pure: numpy, the domain and files of this package; no clock and no network. Time is a number that
the simulator moves.
"""
