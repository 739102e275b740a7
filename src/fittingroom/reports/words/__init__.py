"""A run in words: sentences that rest on its facts."""
