"""Held-out samples: drawn from words, entities and documents of their own."""
