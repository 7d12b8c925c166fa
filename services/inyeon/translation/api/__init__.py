"""What translation answers: gRPC and HTTP."""
