"""The suite's held-out samples: made from words that no training sees."""
