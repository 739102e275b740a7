"""The facts of a run as plain JSON, and what they say."""
