"""`inyeon up --stack`: every service as its own process on running engines."""
