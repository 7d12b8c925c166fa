"""The store port: what a service owns stays here, with its outbox."""
