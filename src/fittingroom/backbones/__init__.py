"""Pretrained feature extractors: where they come from, what runs them, and the features that they give.

`find_backbone` gives a `Backbone` by name; its `frozen` part computes features of images, its `tail` is what a recipe
may train on. Weights are read without running code from a file, and their hash is checked first.
"""
