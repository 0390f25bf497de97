"""Examples for behaviour tuning: generated, deterministic, split by template."""
