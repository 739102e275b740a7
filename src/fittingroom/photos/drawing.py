"""From a drawing to a model's input: strokes of a pen, placed and coloured as the training images are.

What was decided by trying it on scripted drawings (`docs/measurements.md`):

- The strokes are drawn again in the model's image, where they are as thick as the data's, however large somebody drew.
- Where training images show things in tones of their own (clothes), what a line encloses is filled, and the lines are
  its darker seams: an outline alone is nothing that such a model has seen. Where all are drawn in one ink (digits), the
  strokes are the foreground, in that ink.
- It is placed by what was measured of the training images: as large, centred by their box or their mass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fittingroom.data.model_inputs import ConversionStep
from fittingroom.errors import DataError
from fittingroom.photos.conversion import Conversion, ForegroundStyle
from fittingroom.photos.foreground import Mask, box

MOST_STROKES, MOST_POINTS = 1_000, 50_000

CANVAS = 280
"""Pixels along the canvas of a drawing, about: a whole multiple of the model's image."""

_FINE = 8  # pixels of the placed drawing for each of the model's image; fewer where that has many
_LARGEST = 512  # pixels along the placed drawing
_GAP = 0.05  # of the canvas: a gap of a line up to this is closed before what it encloses is filled
_ONE_INK = 12  # of 255: images drawn with one pen differ by no more in how bright their brightest parts are
_SEAM = 1 / 28  # of the image's side: how thick lines are where what they enclose is filled
_NOTHING = "Nothing is drawn yet, or all of it was erased."
_PLAIN_PEN = 1 / 20  # of the image's side: of drawings that go in whole


@dataclass(frozen=True, eq=False)
class Stroke:
    """One movement of the pen.

    Args:
        points: float64 `(n, 2)`, x and y as shares of the canvas, 0 to 1, from its upper left corner.
        erases: whether it takes away what it goes over.
    """

    points: NDArray[np.float64]
    erases: bool = False


@dataclass(frozen=True, eq=False)
class PenStyle:
    """How the training images look as drawings.

    Args:
        foreground: how they show things on a plain background; None where they do not, and drawings go in whole.
        fills: whether what a line encloses belongs to the foreground.
        ink: brightness of the pen, 0 to 255.
        thickness: of a stroke, as a share of the image's side.
    """

    foreground: ForegroundStyle | None
    fills: bool
    ink: float
    thickness: float

    def note(self, dataset: str) -> str:
        """What becomes of a drawing, in a sentence; `dataset` is the name of the training images."""
        if self.foreground is None and self.ink:
            return "It is not known how the training images were made, so a drawing goes in as it is, white on black."
        if self.foreground is None:
            return f"The images of {dataset} are whole pictures, so a drawing goes in whole, black on white."
        if self.fills:
            return f"{dataset} shows filled shapes: draw the outline, and it is filled. Lines inside become seams."
        return f"The pen is as thick as the strokes of {dataset}; size and place do not matter."

    @classmethod
    def unknown(cls) -> PenStyle:
        """Where nothing is known of the training images: white on black, as most drawn digits are."""
        return cls(None, False, 255.0, 1 / 14)

    @classmethod
    def of(cls, images: NDArray[np.float32]) -> PenStyle:
        """Of training images, `(n, height, width)` or `(n, height, width, 3)`, brightness 0 to 255."""
        grey = images if images.ndim == 3 else images.mean(axis=3)
        foreground = ForegroundStyle.of(grey) if len(grey) else None
        if foreground is None:
            return cls(None, False, 0.0, _PLAIN_PEN)
        apart = np.abs(grey - foreground.background)
        brightest = np.quantile(apart.reshape(len(apart), -1), 0.98, axis=1)
        low, high = np.quantile(brightest, (0.25, 0.75))
        one_ink = bool(high - low <= _ONE_INK)
        towards = 1.0 if foreground.mean > foreground.background else -1.0
        ink = foreground.background + towards * float(np.median(apart.max(axis=(1, 2))))
        thickness = float(np.median([_thickness(image) for image in apart[:200] if image.max() > 0] or [1.0]))
        return cls(foreground, not one_ink, ink, thickness / min(grey.shape[1:]) if one_ink else _SEAM)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A drawing.

    Args:
        strokes: in the order in which they were drawn.
        fills: whether what lines enclose is filled; None as the training images suggest.
    """

    strokes: tuple[Stroke, ...]
    fills: bool | None = None

    @classmethod
    def of(cls, values: Any, fills: bool | None = None) -> Drawing:
        """From plain lists, as a page sends them: strokes as `[[x, y], …]` or `{"points": […], "erases": true}`.

        Raises:
            DataError: it is something else, has no stroke, or too many; the message names the stroke.
        """
        if not isinstance(values, list) or not values:
            raise DataError("The drawing has no strokes; expected a list of them, each a list of points [x, y].")
        if len(values) > MOST_STROKES:
            raise DataError(f"The drawing has {len(values):,} strokes. At most {MOST_STROKES:,} are taken.")
        strokes = tuple(_stroke(value, number) for number, value in enumerate(values))
        points = sum(len(stroke.points) for stroke in strokes)
        if points > MOST_POINTS:
            raise DataError(f"The drawing has {points:,} points. At most {MOST_POINTS:,} are taken.")
        return cls(strokes, fills)

    def conversion(self, style: PenStyle, shape: tuple[int, ...]) -> Conversion:
        """The drawing as an image like the training images, with the picture of every step.

        Args:
            style: of the training images.
            shape: of the model's images, `(height, width)` or `(height, width, 3)`.

        Raises:
            DataError: nothing is drawn, or all of it was erased.
        """
        side = max(shape[:2])
        canvas = side * max(round(CANVAS / side), 1)
        size = tuple(round(canvas * length / side) for length in shape[:2])
        lines, drawn = self._ink(_Place.whole(size, style.thickness * min(size)), style)
        if not drawn.any():
            raise DataError(_NOTHING)
        steps = [ConversionStep("drawing", "as it was drawn", _on_paper(lines, None))]
        if style.foreground is None:
            return Conversion((*steps, _whole(lines, shape, style.ink)))
        if self._fills(style):
            steps.append(
                ConversionStep("filled", "what the lines enclose, as training images are", _on_paper(lines, drawn))
            )
        fine = max(min(_FINE, _LARGEST // side), 1)
        place = _Place.like_training(drawn, style, (shape[0] * fine, shape[1] * fine))
        lines, drawn = self._ink(place, style)
        if not drawn.any():  # a speck beside what was erased: the eraser is broader there
            raise DataError(_NOTHING)
        values, share = self._coloured(lines, drawn, style)
        centred = "centre of mass" if style.foreground.by_mass else "box"
        note = f"as large as training images, {centred} in the middle"
        placed = style.foreground.background + (values - style.foreground.background) * share
        steps.append(ConversionStep("placed", note, _bytes(placed)))
        image = _bytes(_smaller(placed, shape))
        image = _brightness(image, style) if self._fills(style) else image
        image = image if len(shape) == 2 else np.repeat(image[..., None], 3, axis=2)
        steps.append(ConversionStep(f"{shape[1]}×{shape[0]}", "what the model gets", image))
        return Conversion(tuple(steps))

    def _fills(self, style: PenStyle) -> bool:
        return style.fills if self.fills is None else self.fills

    def _ink(self, place: _Place, style: PenStyle) -> tuple[NDArray[np.float32], Mask]:
        """How much of each pixel the lines cover, 0 to 1, and what belongs to the foreground."""
        import cv2

        lines = np.zeros(place.size, np.uint8)
        erased = np.zeros(place.size, np.uint8)
        for stroke in self.strokes:
            points = np.rint(place.points(stroke.points) * 16).astype(np.int32)
            points = points.repeat(2, axis=0) if len(points) == 1 else points  # a dot is a line without a length
            # Erasers are broader than pens, as on a desk.
            width = max(round(place.pen * (3 if stroke.erases else 1)), 1)
            target, other = (erased, lines) if stroke.erases else (lines, erased)
            drawn = np.zeros(place.size, np.uint8)
            cv2.polylines(drawn, [points[:, None]], False, 255, width, cv2.LINE_AA, 4)
            np.maximum(target, drawn, out=target)
            np.minimum(other, 255 - drawn, out=other)
        inside = lines > 127
        if self._fills(style):
            # What was erased still parts inside from outside, so that a hole can be rubbed into what was filled.
            inside = _filled(inside | (erased > 127), round(_GAP * place.scale)) & (erased <= 127) | inside
        return (lines / np.float32(255)).astype(np.float32), inside

    def _coloured(
        self, lines: NDArray[np.float32], drawn: Mask, style: PenStyle
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The brightness of each pixel, and how much of it the foreground covers."""
        foreground = style.foreground
        assert foreground is not None
        if not self._fills(style):
            return np.full(lines.shape, style.ink, np.float32), lines
        share = np.maximum(lines, drawn.astype(np.float32))
        seams = np.clip(lines, 0, 1)
        mean = float(seams[drawn].mean())
        spread = float(seams[drawn].std())
        if mean > 0.9 or spread < 0.05:  # lines alone: there are no seams in them
            return np.full(lines.shape, foreground.mean, np.float32), share
        return np.asarray(foreground.mean - (seams - mean) * (foreground.deviation / spread), np.float32), share


@dataclass(frozen=True)
class _Place:
    """Where a drawing lies in a picture.

    Args:
        size: of the picture, `(height, width)`.
        scale: pixels of the picture for the whole canvas.
        left, top: the canvas's upper left corner, in pixels.
        pen: pixels that a line is thick.
    """

    size: tuple[int, int]
    scale: float
    left: float
    top: float
    pen: float

    @classmethod
    def whole(cls, size: tuple[int, ...], pen: float) -> _Place:
        height, width = size
        side = max(height, width)
        return cls((height, width), side, (width - side) / 2, (height - side) / 2, pen)

    @classmethod
    def like_training(cls, drawn: Mask, style: PenStyle, size: tuple[int, int]) -> _Place:
        """As the training images show things; `drawn` is on the whole canvas."""
        foreground = style.foreground
        assert foreground is not None
        before = cls.whole(drawn.shape, style.thickness * min(drawn.shape))
        top, bottom, left, right = box(drawn)
        pen = style.thickness * min(size)
        # The pen stays as thick as it is, so only what lies between the middles of the outermost lines is scaled.
        span = [max(far - near - before.pen, 1.0) for near, far in ((top, bottom), (left, right))]
        wanted = [max(foreground.extent * side - pen, 1.0) for side in size]
        # A dot is not made as large as a digit: what is smaller than a tenth of the canvas grows tenfold at most.
        ratio = min(one / other for one, other in zip(wanted, span, strict=True))
        ratio = min(ratio, 10 * max(size) / max(drawn.shape))
        rows, columns = np.nonzero(drawn)
        by_mass = (float(rows.mean()), float(columns.mean()))
        middle = by_mass if foreground.by_mass else ((top + bottom - 1) / 2, (left + right - 1) / 2)
        corner = []
        for side, centre, near, far, start in zip(
            size, middle, (top, left), (bottom, right), (before.top, before.left), strict=True
        ):
            moved = (side - 1) / 2 - centre * ratio  # from the canvas to the picture
            reach = (near * ratio + moved, far * ratio + moved)
            if reach[1] - reach[0] <= side:  # what hangs out on one side is moved in
                moved += max(-reach[0], 0) - max(reach[1] - side, 0)
            corner.append(start * ratio + moved)
        return cls(size, before.scale * ratio, corner[1], corner[0], pen)

    def points(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of the canvas in pixels."""
        return np.asarray(points * self.scale + np.array([self.left, self.top]), np.float64)


def _stroke(value: Any, number: int) -> Stroke:
    erases = False
    if isinstance(value, dict):
        value, erases = value.get("points"), value.get("erases", False) is True
    wrong = DataError(f"Stroke {number} of the drawing is not a list of points [x, y], each from 0 to 1.")
    if not isinstance(value, list) or not 0 < len(value) <= MOST_POINTS:
        raise wrong
    try:
        points = np.asarray(value)
    except ValueError:
        raise wrong from None
    if points.dtype.kind not in "if" or points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise wrong
    points = points.astype(np.float64)
    if points.min() < 0 or points.max() > 1:
        raise wrong
    return Stroke(points, erases)


def _thickness(apart: NDArray[np.float32]) -> float:
    """How thick the strokes of an image are, in pixels: four times the mean distance to their edge."""
    import cv2

    finer = 8 if max(apart.shape) < 16 else 4
    large = cv2.resize(np.pad(apart, 1), None, fx=finer, fy=finer, interpolation=cv2.INTER_LINEAR)
    mask = np.asarray(large > apart.max() / 2)
    distances = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    return float(4 * (distances[mask].mean() - 0.5) / finer)


def _filled(lines: Mask, gap: int) -> Mask:
    """The lines and what they enclose; a gap of so many pixels is closed."""
    import cv2

    wide = max(gap, 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (wide // 2) + 1, 2 * (wide // 2) + 1))
    padded = np.pad(lines, wide + 1).astype(np.uint8)
    outside = 1 - cv2.morphologyEx(padded, cv2.MORPH_CLOSE, kernel)
    cv2.floodFill(outside, None, (0, 0), 2)
    inside = (outside == 1)[wide + 1 : -wide - 1, wide + 1 : -wide - 1]
    return np.asarray(lines | inside | _within(lines))


def _within(lines: Mask) -> Mask:
    """What the lines enclose, without closing any gap."""
    import cv2

    outside = np.pad(~lines, 1, constant_values=True).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray((outside == 1)[1:-1, 1:-1])


def _brightness(image: NDArray[np.uint8], style: PenStyle) -> NDArray[np.uint8]:
    """The image with a foreground as bright as training images have theirs: seams and soft edges had made it darker."""
    foreground = style.foreground
    assert foreground is not None
    apart = image.astype(np.float32) - foreground.background
    seen = np.abs(apart) > 20
    if not seen.any():
        return image
    mean = float(apart[seen].mean())
    wanted = foreground.mean - foreground.background
    return _bytes(foreground.background + apart * min(max(wanted / mean if mean else 1.0, 0.5), 2.0))


def _whole(lines: NDArray[np.float32], shape: tuple[int, ...], ink: float) -> ConversionStep:
    """A drawing at the size of the model's images, for those that are whole pictures, or of which nothing is known."""
    image = _bytes(_smaller(255 - ink + (2 * ink - 255) * lines, shape))
    image = image if len(shape) == 2 else np.repeat(image[..., None], 3, axis=2)
    how = "white on black: it is not known how the training images were made" if ink else "black on white, as it is"
    return ConversionStep(f"{shape[1]}×{shape[0]}", how, image)


def _smaller(values: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.float32]:
    import cv2

    return np.asarray(cv2.resize(values, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.float32)


def _on_paper(lines: NDArray[np.float32], drawn: Mask | None) -> NDArray[np.uint8]:
    """The drawing in black on white, what is filled in grey."""
    paper = np.full(lines.shape, 255.0, np.float32)
    if drawn is not None:
        paper[drawn] = 190
    return _bytes(paper * (1 - lines) + 30 * lines)


def _bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)
