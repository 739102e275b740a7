"""A trained network as plain data: operations and weights, made from Keras models and written in other formats."""
