"""Between the gateway and the log, the other replicas, the contract."""
