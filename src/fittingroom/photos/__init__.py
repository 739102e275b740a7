"""From a photo to a model's input: find the thing, and show it as the training images show theirs."""
