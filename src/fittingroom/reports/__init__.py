"""What a run tells: its facts, a summary in words, and pages. Works on run folders; trains and opens nothing."""
