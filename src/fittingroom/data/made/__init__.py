"""Datasets that this program makes or takes from a file of a Python package: the same bytes on every machine.

`made_entries` lists them without NumPy; `made_dataset.made_contents` makes one, or takes it from the cache. Those of
Fashion-MNIST are its images changed (`fashion_variants`). Shapes, letters and symbols are outlines filled by
`outline_filling`, and `textures` are patterns of numbers. `packaged_files` finds fonts and MNIST's 5,000 images in the
packages of the extra `benchmark`, and checks each file by its hash.

Nothing here depends on a library that may draw otherwise in its next version: random numbers are the raw draws of a bit
generator, whose sequence NumPy promises, and pixels come from whole numbers.
"""
