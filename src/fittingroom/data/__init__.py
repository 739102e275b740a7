"""What the models try on: datasets, the files they come in, splits, and the sealed test set.

`load.load` gives a `dataset.Dataset`; `describe.describe` and `sprite.write_sprite` show one; `inputs.read_images`
reads images to predict. This package imports nothing by itself, so that the table of datasets can be listed without
NumPy.
"""
