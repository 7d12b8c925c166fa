"""The ground under every service: settings, start and stop, log, store, clock, identity, telemetry, errors."""
