"""What is tried: recipes, their TOML form, stop conditions, the named recipes and the models they build.

Nothing here imports Keras except `build`, `network` and `views`, which the engine needs only for a model that it has
not compiled before.
"""
