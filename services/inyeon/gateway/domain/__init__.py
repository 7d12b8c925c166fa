"""Facts and decisions of the gateway, pure."""
