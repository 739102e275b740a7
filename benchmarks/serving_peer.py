"""The usual way to serve a model: FastAPI and onnxruntime, one request after the other. For `benchmarks.serving`.

Usage: .venv-peers/bin/python benchmarks/serving_peer.py MODEL.onnx DESCRIPTOR

DESCRIPTOR is that of a socket that listens. The answer is the most likely class and the probability of each: this side
says neither whether an image is like the training images nor which classes are likely enough, and has no limits, no
metrics and no watch for drift.
"""

from __future__ import annotations

import io
import socket
import sys
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image


def application(path: str) -> FastAPI:
    """Serves `POST /v1/predict`: a picture of the model's size as the body."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # faster for one image than two
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    dtype = np.uint8 if "uint8" in taken.type else np.float32
    app = FastAPI()

    @app.post("/v1/predict")
    async def predict(request: Request) -> dict[str, Any]:
        image = np.asarray(Image.open(io.BytesIO(await request.body())), dtype)
        probabilities = session.run(None, {taken.name: image[None]})[0][0]
        return {"class": int(probabilities.argmax()), "probabilities": probabilities.tolist()}

    return app


def main() -> None:
    """Serves until it is ended."""
    config = uvicorn.Config(application(sys.argv[1]), loop="uvloop", http="httptools", log_level="error")
    uvicorn.Server(config).run([socket.socket(fileno=int(sys.argv[2]))])


if __name__ == "__main__":
    main()
