"""Faults on purpose, and a checker that finds out whether anything was lost or done twice.

Drivers stand outside the processes under test and write a history; the checker compares it with the
final databases and with every topic. Development and tests only: services never import it.
"""
