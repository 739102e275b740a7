"""From a photo to a model's input: find the foreground, and show it as the training images show theirs."""
