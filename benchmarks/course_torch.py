"""The course's first lab in plain PyTorch, for a CPU: a loop over batches that a permutation of the images gives.

Usage: course_torch.py FOLDER [--epoch-times]

FOLDER holds Fashion-MNIST's four gzip files. With --epoch-times the last line printed is a JSON list, the seconds of
each epoch. Of the usual forms this is the fastest: indexing tensors takes less time than a DataLoader, which fetches
image by image, and the fused Adam less than the default one. Loss, accuracy and Adam's epsilon are those of Keras.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch  # type: ignore[import-not-found] # it is in the peers' environment only

EPOCHS, BATCH = 5, 32


def read(folder: Path, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images, scaled to 0–1, and labels of `train` or `t10k`."""
    with gzip.open(folder / f"{part}-images-idx3-ubyte.gz") as stream:
        images = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(folder / f"{part}-labels-idx1-ubyte.gz") as stream:
        labels = np.frombuffer(stream.read(), np.uint8, offset=8)
    return torch.from_numpy(images.astype(np.float32) / 255), torch.from_numpy(labels.astype(np.int64))


def train_epoch(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float]:
    """One pass over the images in a new order; their mean loss and accuracy as they were trained on."""
    loss_of = torch.nn.CrossEntropyLoss()
    total_loss, right = 0.0, 0
    for batch in torch.randperm(len(images)).split(BATCH):
        wanted = labels[batch]
        logits = model(images[batch])
        loss = loss_of(logits, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total_loss += loss.item() * len(batch)
        right += int((logits.argmax(1) == wanted).sum().item())
    return total_loss / len(images), right / len(images)


def main() -> None:
    """Trains for five epochs, then evaluates on the test set."""
    folder = Path(sys.argv[1])
    training_images, training_labels = read(folder, "train")
    test_images, test_labels = read(folder, "t10k")

    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)

    times: list[float] = []
    for epoch in range(1, EPOCHS + 1):
        start = time.perf_counter()
        loss, accuracy = train_epoch(model, optimizer, training_images, training_labels)
        times.append(time.perf_counter() - start)
        print(f"epoch {epoch}: loss {loss:.4f}, accuracy {accuracy:.4f}")

    with torch.no_grad():
        logits = model(test_images)
    test_loss = torch.nn.functional.cross_entropy(logits, test_labels).item()
    test_accuracy = (logits.argmax(1) == test_labels).float().mean().item()
    print(f"test loss {test_loss:.4f}, test accuracy {test_accuracy:.4f}")
    if "--epoch-times" in sys.argv:
        print(json.dumps(times))


if __name__ == "__main__":
    main()
