"""How a model trains: a Keras model becomes pure, compiled programs, and an epoch is one of them (see README.md)."""
