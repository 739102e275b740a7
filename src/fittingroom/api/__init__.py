"""The Python surface: `train`, `fit`, `open_run`, and the `Run` that they give. The CLI calls the same functions."""
