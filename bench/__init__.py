"""Benchmarks: what the gateway adds to a request, and what its pieces cost."""
