"""The Triton model repository: what `inyeon inference export` writes."""
