"""Many trainings: experiments over recipes and seeds that can be stopped and continued, and are compared fairly."""
