"""Pages as single HTML files, and what a notebook shows."""
