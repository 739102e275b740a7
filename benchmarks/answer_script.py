"""What people write to ask a trained Keras model about one photo, or for its score. For `benchmarks.whole_answers`.

Usage: python benchmarks/answer_script.py MODEL.keras PHOTO | MODEL.keras FOLDER

PHOTO is made grey and small, no more; FOLDER has the gzip files of Fashion-MNIST, whose test images are scored. The
model takes pixels from 0 to 255.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import keras
import numpy as np
from PIL import Image


def main() -> None:
    """Prints the class and its probability, or loss and accuracy."""
    model, place = keras.models.load_model(sys.argv[1]), Path(sys.argv[2])
    if place.is_dir():
        images = np.frombuffer(gzip.decompress((place / "t10k-images-idx3-ubyte.gz").read_bytes())[16:], np.uint8)
        labels = np.frombuffer(gzip.decompress((place / "t10k-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
        probabilities = model.predict(images.reshape(-1, 28, 28), batch_size=1024, verbose=0)
        print((probabilities.argmax(axis=1) == labels).mean())
    else:
        image = 255 - np.asarray(Image.open(place).convert("L").resize((28, 28)), np.uint8)
        probabilities = model.predict(image[None], verbose=0)[0]
        print(probabilities.argmax(), probabilities.max())


if __name__ == "__main__":
    main()
