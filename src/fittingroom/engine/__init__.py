"""How a model trains: a Keras model becomes pure, compiled programs, and an epoch is a call of one of them.

The way of an epoch, from outside to inside:

- `trainer` loops over the epochs of one seed: steps, validation, snapshots, and what happens on Ctrl-C or a non-finite
  loss. `callbacks` are called in between. `snapshots` is what it starts from and leaves behind, as data.
- `arrays` takes the images that lie on the device through the steps; `batches` and `batch_steps` those of an iterable.
- `programs` compiles what they call, once. `recipe_programs` has it for a recipe from the cache; `user_model` keeps it
  with a user's model from one call of `fit` to the next.
- `epoch` is the program: a pure loop over steps. `keras_steps` makes the step, which is Keras's own.
- `state` is what goes in and comes out: the only crossing between Keras's variables and JAX's arrays.

Around it: `devices` starts JAX and shares a batch among devices; `lanes` trains several seeds at once; `convolution`
makes gradients fast on a CPU; `augmentation` changes a recipe's images within the step. A model's structure is plain
data in `blueprint` and `description`. What a user gives is checked in `user_arrays`, `data_checks`, `model_checks`,
`losses` and `misfits`; Keras's callbacks are called in `keras_callbacks` and saved by `callbacks`. README.md has
the reasons.
"""
