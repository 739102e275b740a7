"""What a run tells: its facts, a summary in words, and a page. Works on run folders; trains and opens nothing."""
