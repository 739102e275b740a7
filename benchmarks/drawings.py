"""What a run says of drawings: sketches made by a program, in the ways in which a drawing could become a model's input.

    python -m benchmarks.drawings clothes RUN      # a run of fashion-mnist
    python -m benchmarks.drawings digits RUN       # a run of digits

Each of ten sketches is drawn so many times, at another size, place and angle, with another shape of its corners. Ways:
`drawing` is what the page does, `outline` fills nothing, and `photo` sends black lines on white the way of photos.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import fittingroom
from fittingroom.answers.judgement import Answer
from fittingroom.api.run import Run
from fittingroom.photos.drawing import Drawing
from fittingroom.serving.try_view import TryView

Line = list[tuple[float, float]]
Sketch = list[Line]


def mirrored(half: Line, between: Line | None = None) -> Line:
    """A closed outline from its left half."""
    whole = [*half, *(between or []), *((1 - x, y) for x, y in reversed(half))]
    return [*whole, whole[0]]


def arc(x: float, y: float, wide: float, high: float, start: float, end: float) -> Line:
    """Part of an ellipse, by degrees."""
    turns = [math.radians(start + (end - start) * step / 20) for step in range(21)]
    return [(x + wide * math.cos(turn), y + high * math.sin(turn)) for turn in turns]


CLOTHES: dict[str, Sketch] = {
    "T-shirt/top": [mirrored([(0.42, 0.12), (0.3, 0.14), (0.08, 0.3), (0.16, 0.44), (0.29, 0.36), (0.29, 0.9)])],
    "Trouser": [mirrored([(0.34, 0.06), (0.3, 0.94), (0.44, 0.94)], [(0.5, 0.3)])],
    "Pullover": [
        mirrored([(0.42, 0.1), (0.3, 0.13), (0.16, 0.24), (0.06, 0.88), (0.18, 0.9), (0.28, 0.45), (0.28, 0.92)])
    ],
    "Dress": [mirrored([(0.42, 0.06), (0.36, 0.08), (0.36, 0.2), (0.41, 0.45), (0.28, 0.95)])],
    "Coat": [
        mirrored([(0.42, 0.06), (0.3, 0.09), (0.18, 0.2), (0.12, 0.8), (0.22, 0.82), (0.28, 0.4), (0.25, 0.96)]),
        [(0.5, 0.1), (0.5, 0.94)],
    ],
    "Sandal": [
        [(0.06, 0.62), (0.3, 0.5), (0.34, 0.56), (0.62, 0.52), (0.86, 0.3), (0.95, 0.32), (0.94, 0.7), (0.88, 0.7),
         (0.86, 0.56), (0.55, 0.68), (0.1, 0.7), (0.06, 0.62)],
        [(0.4, 0.66), (0.46, 0.4), (0.52, 0.66)],
    ],
    "Shirt": [
        mirrored([(0.42, 0.08), (0.3, 0.11), (0.16, 0.22), (0.08, 0.7), (0.2, 0.73), (0.28, 0.42), (0.28, 0.92)]),
        [(0.5, 0.12), (0.5, 0.9)],
        [(0.42, 0.08), (0.5, 0.18), (0.58, 0.08)],
    ],
    "Sneaker": [
        [(0.05, 0.62), (0.06, 0.54), (0.3, 0.5), (0.55, 0.36), (0.62, 0.3), (0.78, 0.38), (0.93, 0.32), (0.96, 0.6),
         (0.95, 0.7), (0.06, 0.7), (0.05, 0.62)]
    ],
    "Bag": [
        [(0.1, 0.42), (0.9, 0.42), (0.94, 0.9), (0.06, 0.9), (0.1, 0.42)],
        [(0.3, 0.42), (0.34, 0.2), (0.5, 0.12), (0.66, 0.2), (0.7, 0.42)],
    ],
    "Ankle boot": [
        [(0.05, 0.78), (0.08, 0.66), (0.4, 0.56), (0.52, 0.44), (0.54, 0.1), (0.9, 0.1), (0.92, 0.5), (0.95, 0.66),
         (0.95, 0.9), (0.84, 0.9), (0.82, 0.84), (0.5, 0.84), (0.06, 0.86), (0.05, 0.78)]
    ],
}  # fmt: skip

DIGITS: dict[str, Sketch] = {
    "0": [arc(0.5, 0.5, 0.24, 0.38, -90, 270)],
    "1": [[(0.38, 0.25), (0.55, 0.12), (0.55, 0.88)]],
    "2": [[*arc(0.5, 0.32, 0.22, 0.2, -160, 40), (0.3, 0.86), (0.74, 0.86)]],
    "3": [[*arc(0.46, 0.31, 0.22, 0.19, -150, 80), *arc(0.46, 0.68, 0.25, 0.2, -80, 150)]],
    "4": [[(0.6, 0.1), (0.25, 0.6), (0.8, 0.6)], [(0.62, 0.38), (0.62, 0.92)]],
    "5": [[(0.72, 0.12), (0.36, 0.12), (0.33, 0.45), *arc(0.48, 0.65, 0.24, 0.22, -130, 140)]],
    "6": [[(0.66, 0.1), (0.42, 0.35)], arc(0.5, 0.66, 0.21, 0.22, -160, 200)],
    "7": [[(0.26, 0.14), (0.74, 0.14), (0.44, 0.9)]],
    "8": [arc(0.5, 0.3, 0.17, 0.18, 90, 450), arc(0.5, 0.68, 0.21, 0.2, -90, 270)],
    "9": [[*arc(0.5, 0.34, 0.2, 0.22, 0, 360), (0.7, 0.34), (0.66, 0.9)]],
}

STAR = [(0.5 + (0.18, 0.42)[n % 2] * math.sin(n * math.pi / 5), 0.5 - (0.18, 0.42)[n % 2] * math.cos(n * math.pi / 5))
        for n in range(11)]  # fmt: skip
NEITHER: list[Sketch] = [
    [STAR],
    [[(0.2, 0.9), (0.2, 0.45), (0.5, 0.12), (0.8, 0.45), (0.8, 0.9), (0.2, 0.9)],
     [(0.45, 0.9), (0.45, 0.65), (0.58, 0.65), (0.58, 0.9)]],
    [arc(0.5, 0.5, 0.38, 0.38, 0, 360), arc(0.38, 0.4, 0.04, 0.04, 0, 360), arc(0.62, 0.4, 0.04, 0.04, 0, 360),
     arc(0.5, 0.55, 0.2, 0.18, 20, 160)],
    [[(0.1, 0.2), (0.8, 0.3), (0.3, 0.4), (0.9, 0.7), (0.2, 0.8), (0.6, 0.1), (0.4, 0.9)]],
]  # fmt: skip


@dataclass
class Count:
    """What came of the drawings of one way."""

    right: int = 0
    answered: int = 0
    in_set: int = 0
    refused: int = 0
    all: int = 0
    neither_refused: int = 0
    neither: int = 0

    def add(self, answer: Answer, label: str | None) -> None:
        """Counts an answer; None stands for something that is of no class."""
        if label is None:
            self.neither += 1
            self.neither_refused += answer.unlike
            return
        self.all += 1
        self.right += answer.label == label
        self.answered += answer.label == label and not answer.unlike
        self.in_set += label in answer.set
        self.refused += answer.unlike

    def __str__(self) -> str:
        return (
            f"{self.right} of {self.all} right, {self.answered} of them not refused; set holds the class "
            f"{self.in_set}; refused {self.refused}; of {self.neither} drawings of something else, "
            f"refused {self.neither_refused}"
        )


def varied(sketch: Sketch, random: np.random.Generator) -> list[list[list[float]]]:
    """A sketch at another size, place and angle, its corners moved a little."""
    angle = math.radians(random.normal(0, 4))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    size = random.uniform(0.6, 0.95) * random.uniform(0.9, 1.1, 2)
    shift = random.uniform(-0.08, 0.08, 2)
    strokes = []
    for line in sketch:
        points = np.array(line) + random.normal(0, 0.012, (len(line), 2))
        if line[0] == line[-1]:
            points[-1] = points[0]
        strokes.append(np.clip(((points - 0.5) * size) @ turn.T + 0.5 + shift, 0.02, 0.98).tolist())
    return strokes


def ways(run: Run) -> dict[str, Callable[[list[list[list[float]]]], Answer]]:
    """From strokes to an answer, in each way."""
    view = TryView("run", run.predictor, None)

    def as_drawing(fills: bool | None) -> Callable[[list[list[list[float]]]], Answer]:
        def answered(strokes: list[list[list[float]]]) -> Answer:
            inputs = view.drawn({"strokes": strokes, "fills": fills})
            return run.predictor.answer_unchecked(inputs)[0]

        return answered

    def as_photo(strokes: list[list[list[float]]]) -> Answer:
        from PIL import Image

        pen, _ = view.pen
        assert pen is not None
        picture = Drawing.of(strokes, False).conversion(pen, run.predictor.data.picture_shape).steps[0].picture
        assert picture is not None
        return run.answer(Image.fromarray(picture))[0]

    return {"drawing": as_drawing(None), "outline": as_drawing(False), "photo": as_photo}


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("clothes", "digits"))
    parser.add_argument("run")
    parser.add_argument("--each", type=int, default=8, help="drawings of each sketch")
    parsed = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    sketches = CLOTHES if parsed.what == "clothes" else DIGITS
    labelled = [*((label, sketch) for label, sketch in sketches.items()), *((None, sketch) for sketch in NEITHER)]
    for name, answer in ways(fittingroom.open_run(parsed.run)).items():
        random, count, took = np.random.default_rng(0), Count(), []
        for label, sketch in labelled:
            for _ in range(parsed.each):
                strokes = varied(sketch, random)
                begun = time.perf_counter()
                count.add(answer(strokes), label)
                took.append(time.perf_counter() - begun)
        print(f"{name}: {count}; {1000 * float(np.median(took)):.0f} ms each")


if __name__ == "__main__":
    main()
