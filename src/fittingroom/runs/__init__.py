"""What is kept: the run folder, written whole or not at all, and how runs are found again."""
