"""What moderation answers: gRPC, HTTP and the review page."""
