"""Many trainings at once: an experiment over recipes and seeds that can be stopped, goes on, and is compared fairly."""
