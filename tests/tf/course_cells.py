"""Notebooks in the manner of the course: cells as its learners write them, with one line changed.

Run as `python -m tests.tf.course_cells`: the cells of a notebook run in order and print what they print; one that fails
prints its error, and the next one runs. (Ours, not the course's own.)
"""

from __future__ import annotations

IMPORT = "import fittingroom.tf as tf"

LAB_1 = """
print(tf.__version__)
#--
fmnist = tf.keras.datasets.fashion_mnist
(training_images, training_labels), (test_images, test_labels) = fmnist.load_data()
#--
import numpy as np
np.set_printoptions(linewidth=320)
index = 42
print(f'LABEL: {training_labels[index]}')
print(f'IMAGE PIXEL ARRAY: {training_images[index].shape} {training_images.dtype}')
#--
training_images = training_images / 255.0
test_images = test_images / 255.0
#--
model = tf.keras.models.Sequential([
    tf.keras.Input(shape=(28, 28)),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(128, activation=tf.nn.relu),
    tf.keras.layers.Dense(10, activation=tf.nn.softmax),
])
#--
inputs = tf.convert_to_tensor(np.array([[1.0, 3.0, 4.0, 2.0]]))
print(f'input to softmax function: {inputs.numpy()}')
outputs = tf.keras.activations.softmax(inputs)
print(f'output of softmax function: {outputs.numpy()}')
print(f'sum of outputs: {tf.reduce_sum(outputs).numpy():.3f}')
print(f'class with highest probability: {np.argmax(outputs)}')
#--
model.compile(optimizer=tf.optimizers.Adam(), loss='sparse_categorical_crossentropy', metrics=['accuracy'])
history = model.fit(training_images, training_labels, epochs=5)
print('trained to', history.history['accuracy'][-1] > 0.5, type(history).__name__)
#--
print('evaluated', len(model.evaluate(test_images, test_labels, verbose=0)))
#--
classifications = model.predict(test_images, verbose=0)
print('ten numbers', classifications[0].shape, f'{classifications[0].sum():.3f}')
#--
# Exercise 2: more neurons, layers without an Input
model = tf.keras.models.Sequential([tf.keras.layers.Flatten(),
                                    tf.keras.layers.Dense(512, activation=tf.nn.relu),
                                    tf.keras.layers.Dense(10, activation=tf.nn.softmax)])
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy')
print('512 neurons', model.fit(training_images, training_labels, epochs=2).history['loss'][-1] < 2)
#--
# Exercise 3: no Flatten
model = tf.keras.models.Sequential([tf.keras.layers.Dense(64, activation=tf.nn.relu),
                                    tf.keras.layers.Dense(10, activation=tf.nn.softmax)])
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy')
model.fit(training_images, training_labels, epochs=1)
#--
# Exercise 4: five outputs
model = tf.keras.models.Sequential([tf.keras.layers.Flatten(),
                                    tf.keras.layers.Dense(64, activation=tf.nn.relu),
                                    tf.keras.layers.Dense(5, activation=tf.nn.softmax)])
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy')
model.fit(training_images, training_labels, epochs=1)
#--
# Exercise 7: not divided by 255
(training_images, training_labels), _ = tf.keras.datasets.fashion_mnist.load_data()
model = tf.keras.models.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10, activation=tf.nn.softmax)])
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy')
print('not divided', len(model.fit(training_images, training_labels, epochs=1).epoch))
#--
# Exercise 8: a callback that ends training
class myCallback(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs={}):
        if logs.get('accuracy') >= 0.3:
            print("\\nReached 30% accuracy so cancelling training!")
            self.model.stop_training = True

model = tf.keras.models.Sequential([tf.keras.layers.Flatten(), tf.keras.layers.Dense(10, activation=tf.nn.softmax)])
model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
print('stopped after', len(model.fit(training_images / 255.0, training_labels, epochs=50,
                                     callbacks=[myCallback()]).epoch) < 50)
"""

LAB_2 = """
fmnist = tf.keras.datasets.fashion_mnist
(x_train, y_train), (x_test, y_test) = fmnist.load_data()
x_train, x_test = x_train / 255.0, x_test / 255.0
#--
class myCallback(tf.keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs={}):
        if logs.get('loss') < 1.2:
            print("\\nLoss is lower than 1.2 so cancelling training!")
            self.model.stop_training = True
#--
callbacks = myCallback()
model = tf.keras.models.Sequential([
    tf.keras.layers.Flatten(input_shape=(28, 28)),
    tf.keras.layers.Dense(512, activation=tf.nn.relu),
    tf.keras.layers.Dense(10, activation=tf.nn.softmax)
])
model.compile(optimizer=tf.optimizers.Adam(), loss='sparse_categorical_crossentropy', metrics=['accuracy'])
history = model.fit(x_train, y_train, epochs=10, callbacks=[callbacks])
print('last loss below 1.2:', history.history['loss'][-1] < 1.2)
"""

ASSIGNMENT = """
import os
import numpy as np
from fittingroom.tf import keras
#--
data_path = os.path.join(os.getcwd(), "mnist.npz")
(training_images, training_labels), _ = tf.keras.datasets.mnist.load_data(path=data_path)
print(f"training_images is of type {type(training_images)}.")
#--
def reshape_and_normalize(images):
    images = np.expand_dims(images, axis=-1)
    return images / np.max(images)

training_images = reshape_and_normalize(training_images[:])
print(f"Shape of training set after reshaping: {training_images.shape}")
#--
class EarlyStoppingCallback(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if logs['accuracy'] >= 0.5:
            self.model.stop_training = True
            print("\\nReached 50% accuracy so cancelling training!")
#--
def convolutional_model():
    model = tf.keras.models.Sequential([
        tf.keras.Input(shape=(28, 28, 1)),
        tf.keras.layers.Conv2D(8, (3, 3), activation='relu'),
        tf.keras.layers.MaxPooling2D(2, 2),
        tf.keras.layers.Flatten(),
        tf.keras.layers.Dense(10, activation=tf.nn.softmax),
    ])
    model.compile(optimizer='adam', loss='sparse_categorical_crossentropy', metrics=['accuracy'])
    return model

model = convolutional_model()
training_history = model.fit(training_images, training_labels, epochs=10, callbacks=[EarlyStoppingCallback()])
#--
# What checks the assignment asks for
print(isinstance(training_history, tf.keras.callbacks.History), isinstance(training_history.history, dict))
print(sorted(training_history.history), training_history.epoch == list(range(len(training_history.epoch))))
print(training_history.params['epochs'], training_history.model is model, model.history.history.keys())
"""

NOTEBOOKS = {"lab-1": LAB_1, "lab-2": LAB_2, "assignment": ASSIGNMENT}


def run(name: str) -> None:
    """Runs the cells of a notebook as a notebook does, in names of their own."""
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate([IMPORT, *NOTEBOOKS[name].split("#--")]):
        print(f"[{name} {number}]", flush=True)  # noqa: T201 - a notebook's output
        try:
            exec(compile(cell, f"<cell {number}>", "exec"), names)
        except Exception as error:
            notes = "".join(f" | {note}" for note in getattr(error, "__notes__", ()))
            print(f"{type(error).__name__}: {error}{notes}", flush=True)  # noqa: T201


if __name__ == "__main__":
    for notebook in NOTEBOOKS:
        run(notebook)
