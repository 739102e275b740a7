"""What pictures show, by a trained model, with NumPy and onnxruntime alone; Pillow opens picture files.

    python predict.py photo.jpg other.png      a sentence for each
    python predict.py photo.jpg --json         all that is known of each

In Python:

    from predict import PhotoModel

    model = PhotoModel()
    for answer in model.answers(model.read("photo.jpg")):
        print(answer.label, answer.probability, answer.set, answer.unlike, answer.why)

A file is a picture of any size, or an array in a `.npy` file: one image or several as the model takes them, or one
photo, uint8 `(height, width)` or `(height, width, 3)`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.answers.judgement import Answer, Judgement
from fittingroom.answers.out_of_distribution import ConfidenceDetector, NeighbourDetector, hog_features, unit_features
from fittingroom.answers.recalibration import ALPHA, Conformal, LabelShiftCalibration
from fittingroom.data.class_table import ClassTable
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.data.pictures import Picture
from fittingroom.data.ranges import ValueRange
from fittingroom.data.resizing import kept_edge
from fittingroom.errors import DataError
from fittingroom.exports.program.numpy_image import NumpyImage
from fittingroom.photos.conversion import ForegroundStyle, Style
from fittingroom.photos.foreground import Silhouettes
from fittingroom.photos.photo_reader import PhotoReader
from fittingroom.photos.second_opinion import SecondOpinion

Array = NDArray[Any]

_AT_ONCE = 256  # images


class _SecondNetwork:
    """A network that was trained on photographs, as `SecondOpinion` asks it.

    Args:
        file: its ONNX.
        title: what people call it.
        input_size: height and width of its images.
    """

    def __init__(self, file: Path, title: str, input_size: int) -> None:
        self.title, self.input_size = title, input_size
        self._session = _session(file)

    def class_log_probabilities(self, images: Array) -> Array:
        """What its own classifier makes of images, `(n, classes)`."""
        return np.asarray(self._session.run(["log_probabilities"], {"images": images})[0])


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


class PhotoModel:
    """A trained model, and what is needed to answer with it as the run did that it came from.

    Args:
        folder: that holds `model.onnx`, `model.json` and `model.npz`, and perhaps `second_opinion.onnx`.

    Attributes:
        facts: what is known of the model: its classes, its accuracy, where it comes from.
        class_names: of its classes.
    """

    def __init__(self, folder: Path = Path(__file__).parent) -> None:
        self.facts: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.class_names: tuple[str, ...] = tuple(self.facts["class_names"])
        with np.load(folder / "model.npz", allow_pickle=False) as arrays:
            self._arrays = dict(arrays)
        self._numbers: dict[str, Any] = self.facts["program"]
        self._session = _session(folder / "model.onnx")
        self._second_file = folder / "second_opinion.onnx"

    def read(self, file: str | Path) -> ModelInputs:
        """The image, or images, of a file as the model takes them, with the steps of their conversion.

        Raises:
            DataError: it cannot be read or converted.
        """
        path = Path(file)
        if path.suffix.lower() == ".npy":
            try:
                array = np.load(path, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f"cannot read {path} as a .npy file: {error}.") from error
            return self.of_array(array, path)
        try:
            from PIL import Image
        except ImportError:
            raise DataError(
                f"{path} is not a .npy file, and Pillow, which opens pictures, is not installed: pip install pillow"
            ) from None
        try:
            with Image.open(path, formats=("JPEG", "PNG", "WEBP", "BMP", "GIF")) as image, Picture.quiet():
                kept = kept_edge(*self._reader.shape[:2])
                image.draft(None, (kept, kept))  # a large JPEG is decoded to fewer pixels
                return self._reader.read_picture(image, path)
        except OSError as error:
            raise DataError(f"cannot read {path} as a picture: {error}.") from error

    def of_array(self, array: Array, name: Path = Path("the array")) -> ModelInputs:
        """Images as the model takes them, or a photo, from an array.

        Args:
            array: one image or several of the model's shape, or one photo, uint8 `(height, width)` or
                `(height, width, 3)`.
            name: what messages call it.

        Raises:
            DataError: it is neither.
        """
        shape, kind = tuple(self._numbers["image_shape"]), self._numbers["image_type"]
        shapes = {shape, tuple(self._numbers["picture_shape"])}
        for one in shapes:
            if array.shape in (one, (len(array) if array.ndim else 0, *one)) and array.size:
                ValueRange.require_finite(array.reshape(-1, *one), str(name))
                if kind == "uint8" and (array.dtype.kind == "f" or array.min() < 0 or array.max() > 255):
                    raise DataError(
                        f"{name} holds {array.dtype} from {array.min():g} to {array.max():g}; expected whole numbers "
                        f"from 0 to {self._numbers['scale']:g}, as the images are stored."
                    )
                return ModelInputs.plain(array.reshape(-1, *shape).astype(kind), name)
        if array.dtype != np.uint8 or array.ndim not in {2, 3} or (array.ndim == 3 and array.shape[2] != 3):
            raise DataError(
                f"{name} is {array.dtype} of the shape {array.shape}; expected {shape}, several of these, or a photo: "
                "uint8, (height, width) or (height, width, 3)."
            )
        return self._reader.convert(Picture(NumpyImage(array), ()), name)  # type: ignore[arg-type]

    def answers(self, inputs: ModelInputs, alpha: float = ALPHA) -> list[Answer]:
        """What the model says of each image, and how far that can be trusted.

        Args:
            inputs: of `read` or `of_array`.
            alpha: the share of sets that may miss the right class.
        """
        images = inputs.images.reshape(-1, *self._numbers["image_shape"])
        logs, backbone = self._outputs(images)
        compared = self._judgement.compared
        features = np.empty((len(logs), 0))
        if compared == "shape":
            features = hog_features(images, self._numbers["scale"])
        elif compared == "features":
            features = unit_features(backbone)
        trained_on = self.facts["dataset"], self.class_names
        return self._judgement.answers(logs, features, trained_on, alpha, inputs.cut_out, inputs.opinions)

    def probabilities(self, images: Array) -> NDArray[np.float32]:
        """Calibrated probabilities of the classes, `(n, classes)`, of images as the model takes them."""
        return np.stack([answer.probabilities for answer in self.answers(self.of_array(images))])

    def _outputs(self, images: Array) -> tuple[Array, Array]:
        """Logarithms of the probabilities, and the features that a backbone gives, if there is one."""
        names = [output.name for output in self._session.get_outputs()]
        wanted = [name for name in ("log_probabilities", "features") if name in names]
        parts = [
            self._session.run(wanted, {"images": images[start : start + _AT_ONCE].astype(self._numbers["image_type"])})
            for start in range(0, len(images), _AT_ONCE)
        ]
        logs, *features = (np.concatenate(values) for values in zip(*parts, strict=True))
        return logs, features[0] if features else logs

    @cached_property
    def _judgement(self) -> Judgement:
        numbers, arrays = self._numbers["judgement"], self._arrays
        unlike: NeighbourDetector | ConfidenceDetector | None = None
        if "features" in arrays:
            features, classes, distances, surprises = (
                arrays[name] for name in ("features", "classes", "distances", "surprises")
            )
            unlike = NeighbourDetector(features, classes, distances, surprises, numbers["threshold"])
        elif numbers["threshold"] is not None:
            unlike = ConfidenceDetector(numbers["threshold"])
        shift = None
        if "shifts" in arrays:
            shift = LabelShiftCalibration(numbers["sharpness"], arrays["shifts"], Conformal(arrays["scores_of_photos"]))
        return Judgement(numbers["temperature"], Conformal(arrays["scores"]), unlike, shift)

    @cached_property
    def _reader(self) -> PhotoReader:
        shape = tuple(self._numbers["picture_shape"])
        values = dict(self._numbers["values"])
        if values["lowest"] is None:  # nothing is known of the training images' values
            values |= {"lowest": -np.inf, "highest": np.inf}
        return PhotoReader(shape, ValueRange(**values), lambda: self._style, lambda: self._second)

    @cached_property
    def _second(self) -> SecondOpinion | None:
        facts = self._numbers["second_opinion"]
        if facts is None:
            return None
        network: Any = _SecondNetwork(self._second_file, facts["title"], facts["input_size"])
        names, weights = tuple(facts["names"]), self._arrays["second_table"]
        return SecondOpinion(network, ClassTable(facts["dataset"], facts["source"], weights, names))

    @cached_property
    def _style(self) -> Style:
        shape, style = tuple(self._numbers["picture_shape"]), self._numbers["style"]
        if style is None:
            raise DataError(
                "this model was trained on plain arrays, so it is not known how a photo is converted to images like "
                f"them. Convert it to the shape {shape} yourself, and pass a .npy file."
            )
        if style["foreground"] is None:
            return Style(shape, aspect=style["aspect"])
        silhouettes = Silhouettes(np.unpackbits(self._arrays["silhouettes"], axis=1).astype(np.float32))
        # Made from the silhouettes where the model was exported: for `cached_property`, they are there already.
        vars(silhouettes)["templates"] = self._arrays["templates"].astype(np.float32) / np.float32(1024)
        return Style(shape, ForegroundStyle(**style["foreground"], silhouettes=silhouettes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; 2 where a file cannot be read or converted."""
    parser = argparse.ArgumentParser(prog="predict.py", description="What pictures show, and how sure the model is.")
    parser.add_argument("files", nargs="+", help="pictures, and .npy files with images or a photo")
    parser.add_argument("--json", action="store_true", help="print one JSON object with all that is known")
    parsed = parser.parse_args(arguments)
    predictions: list[dict[str, Any]] = []
    try:
        model = PhotoModel()
        for file in parsed.files:
            inputs = model.read(file)
            for note in inputs.notes:
                print(f"note: {note}", file=sys.stderr)  # noqa: T201 - a program of its own
            steps = [{"name": step.name, "note": step.note} for step in inputs.steps]
            for index, answer in enumerate(model.answers(inputs)):
                predictions.append({"file": file, "index": index, **answer.to_dict(), "steps": steps})
    except DataError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if parsed.json:
        print(json.dumps({"classes": list(model.class_names), "predictions": predictions}))  # noqa: T201
        return 0
    for row in predictions:
        print(f"{row['file']}: {row['why']}")  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
