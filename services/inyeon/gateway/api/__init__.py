"""gRPC and HTTP of the gateway."""
