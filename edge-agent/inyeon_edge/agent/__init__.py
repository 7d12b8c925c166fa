"""Wires capture, vision, outputs, uplink and call into one device."""
