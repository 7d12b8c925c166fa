"""The log port: what crosses services goes through here."""
