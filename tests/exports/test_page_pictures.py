"""Photos and drawings in an exported page: what the run makes of them, to the pixel, in a real Chromium."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from fittingroom.answers.judgement import Judgement
from fittingroom.data.model_inputs import ModelInputs
from fittingroom.data.ranges import ValueRange
from fittingroom.errors import DataError
from fittingroom.exports.page_photos import parts_of
from fittingroom.photos.conversion import ForegroundStyle, Style
from fittingroom.photos.drawing import Drawing, PenStyle
from fittingroom.photos.photo_reader import PhotoReader
from tests.exports.page_modules import PageError, PageModules, opened, picture
from tests.photos.drawing import photo, shirt_mask, training_images

PHOTOS = "photos(_[0], _[1])"


@pytest.fixture(scope="module")
def modules() -> Iterator[PageModules]:
    with opened("resampling", "morphology", "grabcut", "pen", "photos") as page:
        yield page


@pytest.fixture(scope="module")
def foreground() -> ForegroundStyle:
    found = ForegroundStyle.of(training_images().astype(np.float32))
    assert found is not None
    return found


def parts(
    style: Style | None, pen: PenStyle | None = None, values: ValueRange | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a page is told of a run with these."""
    taken = values or ValueRange.of_scale(255)
    data = SimpleNamespace(
        picture_shape=(28, 28) if style is None else style.image_shape,
        as_given=not taken.whole,
        range=taken,
        scale=255.0,
        public_name="shirts",
        classes=("one", "other"),
        takes_pictures=True,
    )
    predictor: Any = SimpleNamespace(
        data=data, pen=(pen, None), style=style, second_opinion=None, judgement=Judgement.nothing()
    )
    return parts_of(predictor)


def converted(modules: PageModules, facts: tuple[Any, Any], content: bytes) -> dict[str, Any]:
    code = f"(async () => {{ const one = {PHOTOS}; return one.convert(await one.read(_[2])); }})()"
    found = modules.call(code, *facts, content)
    assert isinstance(found, dict)
    return found


def read(style: Style, content: bytes, values: ValueRange | None = None) -> ModelInputs:
    """The same by the run's own reader."""
    reader = PhotoReader(style.image_shape, values or ValueRange.of_scale(255), lambda: style)
    return reader.read_bytes(content, Path("The picture"))


def encoded(image: Image.Image, kind: str = "PNG", **more: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **more)
    return stream.getvalue()


def shown(step: dict[str, Any]) -> Any:
    """A step's picture, RGB."""
    one = step["picture"]
    return one["data"].reshape(one["height"], one["width"], 4)[..., :3]


def compare_steps(found: dict[str, Any], expected: ModelInputs) -> None:
    """All words equal; all pictures equal but for single roundings."""
    assert [(step["name"], step["note"]) for step in found["steps"]] == [
        (step.name, step.note) for step in expected.steps
    ]
    for step, own in zip(found["steps"], expected.steps, strict=True):
        assert own.picture is not None
        full = own.picture if own.picture.ndim == 3 else own.picture[..., None].repeat(3, axis=2)
        apart = np.abs(shown(step).astype(int) - full)
        assert apart.max() <= 1, step["name"]
        assert apart.mean() < 0.01, step["name"]
    assert np.abs(found["image"].astype(float) - expected.images[0].ravel()).max() <= 1
    assert found["cutOut"] == expected.cut_out[0]
    assert found["notes"] == [note.removeprefix("The picture: ") for note in expected.notes]


@pytest.mark.parametrize("size", [(48, 64), (24, 24), (31, 90), (160, 100), (96, 41)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_resizing_is_opencvs(modules: PageModules, size: tuple[int, int], kind: type) -> None:
    image: Any = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(kind)
    for name, flag in (("resizeArea", cv2.INTER_AREA), ("resizeLinear", cv2.INTER_LINEAR)):
        found = modules.call(f"{name}(image(_[0]), {size[0]}, {size[1]}).data", picture(image))
        expected = cv2.resize(image, size[::-1], interpolation=flag)
        assert np.abs(found.reshape(expected.shape).astype(float) - expected).max() < 1e-2, name


@pytest.mark.parametrize("way", ["bilinear", "box"])
@pytest.mark.parametrize("size", [(48, 64), (24, 120), (160, 200)])
def test_resizing_is_pillows_but_for_roundings(modules: PageModules, way: str, size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (96, 128, 3)).astype(np.uint8)
    box = (3.5, 0.0, 120.0, 90.25)
    found = modules.call(f'pillowResize(image(_[0]), {size[0]}, {size[1]}, "{way}", _[1]).data', picture(image), box)
    resampling = Image.Resampling[way.upper()]
    expected = np.asarray(Image.fromarray(image).resize(size[::-1], resampling, box=box))
    apart = np.abs(found.reshape(expected.shape).astype(int) - expected)
    assert apart.max() <= 1  # from version to version, Pillow goes down or across first


@pytest.mark.parametrize("thickness", [1, 2, 7, 16])
def test_pen_draws_what_opencvs_draws(modules: PageModules, thickness: int) -> None:
    generator = np.random.default_rng(thickness)
    for points in (
        generator.uniform(-40, 140, (5, 2)),
        50 + np.cumsum(generator.normal(0, 3, (40, 2)), axis=0),
        generator.uniform(10, 90, (1, 2)).repeat(2, axis=0),
    ):
        places = np.rint(points * 16).astype(np.int32)
        expected = np.zeros((100, 100), np.uint8)
        cv2.polylines(expected, [places[:, None]], False, 255, thickness, cv2.LINE_AA, 4)
        code = "(() => { const canvas = image(_[0]); drawLine(canvas, _[1], _[2]); return canvas.data; })()"
        found = modules.call(code, picture(np.zeros((100, 100), np.uint8)), places.tolist(), thickness)
        assert np.array_equal(found.reshape(100, 100), expected)


@pytest.mark.parametrize("seed", range(3))
def test_grab_cut_gives_opencvs_mask(modules: PageModules, seed: int) -> None:
    generator = np.random.default_rng(seed)
    pixels = np.asarray(photo(size=(75, 100), corner=(15, 10), side=(45, 70))[0]) + generator.normal(
        0, 12, (100, 75, 3)
    )
    image = np.clip(pixels, 0, 255).astype(np.uint8)
    start = np.full((100, 75), cv2.GC_PR_FGD, np.uint8)
    start[:6], start[-6:], start[:, :6], start[:, -6:] = (cv2.GC_BGD,) * 4
    found = modules.call("grabCut(image(_[0]), _[1].data, 2)", picture(image), start)
    cv2.setRNGSeed(0)
    mask, models = start.copy(), [np.zeros((1, 65)), np.zeros((1, 65))]
    cv2.grabCut(image, mask, None, *models, 2, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    assert np.array_equal(found.reshape(mask.shape), mask % 2)


def photographs() -> list[Image.Image]:
    """Shirts on floors, of several colours, places and sizes."""
    made = [
        photo(),
        photo(colour=(250, 250, 250), corner=(110, 120)),
        photo(size=(80, 60), corner=(10, 10), side=(50, 40), colour=(160, 40, 40)),
        photo(size=(700, 500), corner=(200, 30), side=(300, 430), colour=(180, 165, 140)),
    ]
    return [image for image, _ in made]


def test_photos_become_the_same_images_in_the_same_words(modules: PageModules, foreground: ForegroundStyle) -> None:
    dark = ForegroundStyle.of(255 - training_images().astype(np.float32))
    assert dark is not None
    for style, scale, photos in (
        (Style((28, 28), foreground), 255.0, photographs()),
        (Style((28, 28, 3), replace(foreground, by_mass=True, extent=0.7)), 255.0, photographs()[:1]),
        (Style((16, 24), replace(dark, by_mass=True)), 16.0, photographs()[1:3]),
    ):
        values = ValueRange.of_scale(scale)
        facts = parts(style, values=values)
        for one in photos:
            content = encoded(one)
            compare_steps(converted(modules, facts, content), read(style, content, values))


@pytest.mark.parametrize("aspect", ["pad", "crop", "stretch"])
def test_whole_pictures_are_resized_as_those_of_a_folder(modules: PageModules, aspect: str) -> None:
    for shape in ((40, 56, 3), (30, 30)):
        style = Style(shape, aspect=aspect)
        content = encoded(photo(size=(120, 90))[0])
        compare_steps(converted(modules, parts(style), content), read(style, content))


def test_files_of_all_kinds_are_read_as_the_run_reads_them(modules: PageModules) -> None:
    style = Style((30, 40, 3))
    white = Image.new("RGBA", (60, 50), (255, 255, 255, 0))
    white.paste((250, 250, 250, 255), (10, 10, 40, 40))
    half = Image.new("RGBA", (60, 50), (200, 20, 20, 128))
    shirt = photo(size=(120, 90))[0]
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.asarray(shirt.convert("L")).astype(np.uint16) * 257
    moving: dict[str, Any] = {"save_all": True, "append_images": [shirt.rotate(90)], "duration": 100}
    contents = [
        encoded(white),
        encoded(half),
        encoded(Image.new("RGBA", (50, 50))),
        encoded(shirt, "JPEG", quality=95, exif=exif),
        encoded(shirt.convert("CMYK"), "JPEG", quality=95),
        encoded(Image.fromarray(deep)),
        encoded(shirt.quantize(64), "GIF", save_all=True, append_images=[shirt.rotate(90).quantize(64)]),
        encoded(shirt, "PNG", **moving),
        encoded(shirt, "WEBP", lossless=True, **moving),
    ]
    for content in contents:
        expected = read(style, content)
        assert expected.notes
        found = converted(modules, parts(style), content)
        assert found["notes"] == [note.removeprefix("The picture: ") for note in expected.notes]
        assert np.abs(found["image"].astype(int) - expected.images[0].ravel()).mean() < 1.5
    for kind in ("BMP", "WEBP", "GIF", "JPEG"):
        content = encoded(shirt, kind)
        expected = read(style, content)
        found = converted(modules, parts(style), content)
        assert not found["notes"]
        assert np.abs(found["image"].astype(int) - expected.images[0].ravel()).mean() < 1.5


def test_pictures_of_the_models_size_go_in_as_they_are(modules: PageModules, foreground: ForegroundStyle) -> None:
    style = Style((28, 28), foreground)
    content = encoded(photo(size=(28, 28), corner=(4, 2), side=(20, 24))[0])
    expected = read(style, content)
    found = converted(modules, parts(style), content)
    assert np.array_equal(found["image"], expected.images[0].ravel())
    assert found["notes"] == ["converted from colour to grey."]
    assert not found["cutOut"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_large_photos_are_decoded_at_part_of_their_size_as_by_the_run(modules: PageModules, orientation: int) -> None:
    """Sequential and progressive, with every way of thinning colours, by an eighth to a half, and upright."""
    style = Style((24, 32, 3))
    exif = Image.Exif()
    exif[0x0112] = orientation
    size = {2: (1030, 1100), 6: (2050, 2060)}.get(orientation, (540, 780))
    kinds: tuple[dict[str, Any], ...] = (
        {"quality": 80, "progressive": orientation > 4},
        {"quality": 95, "subsampling": orientation % 3, "restart_marker_rows": 3},
    )
    shirt = photo(size=size, corner=(180, 160), side=(240, 200))[0]
    for kind in kinds[: 1 if orientation in (2, 6) else 2]:
        content = encoded(shirt, "JPEG", exif=exif, **kind)
        expected = read(style, content)
        found = converted(modules, parts(style), content)
        assert np.array_equal(found["image"], expected.images[0].ravel())
        assert found["notes"] == [note.removeprefix("The picture: ") for note in expected.notes]


def test_values_are_those_of_training(modules: PageModules) -> None:
    values = ValueRange(-1.0, 1.0, False, -1.0, 1.0)
    style, content = Style((20, 20)), encoded(photo(size=(60, 60))[0])
    found, expected = converted(modules, parts(style, values=values), content), read(style, content, values)
    assert found["image"].dtype == np.float32
    assert np.array_equal(found["image"], expected.images[0].ravel())


def test_what_cannot_be_read_is_said_in_the_runs_words(modules: PageModules, foreground: ForegroundStyle) -> None:
    style = Style((28, 28), foreground)
    content = encoded(photo(size=(300, 12))[0])
    with pytest.raises(DataError) as own:
        read(style, content)
    with pytest.raises(PageError) as found:
        converted(modules, parts(style), content)
    assert str(found.value) == str(own.value)
    with pytest.raises(PageError, match=r"The picture cannot be read\. Accepted are"):
        converted(modules, parts(style), b"this is not a picture")
    large = encoded(photo(size=(600, 700))[0], "JPEG")
    for damaged in (encoded(photo()[0])[:-40], encoded(photo()[0], "JPEG")[:9000], large[:-40], large[:20_000]):
        with pytest.raises(DataError, match="it is cut off or damaged"):
            read(style, damaged)
        with pytest.raises(PageError, match="it is cut off or damaged"):
            converted(modules, parts(style), damaged)


def scribbles(generator: np.random.Generator) -> list[Any]:
    """Curved strokes, some closed, some that erase."""
    strokes: list[Any] = []
    for _ in range(int(generator.integers(1, 4))):
        along = np.linspace(0, 1, int(generator.integers(1, 30)))[:, None]
        a, b, c = generator.uniform(0.1, 0.9, (3, 2))
        points = ((1 - along) ** 2 * a + 2 * along * (1 - along) * b + along**2 * c).tolist()
        points += points[:1] if generator.random() < 0.4 else []
        strokes.append({"points": points, "erases": True} if generator.random() < 0.15 else points)
    return strokes


@pytest.mark.parametrize("kind", ["filled", "by mass", "ink", "whole", "colour"])
def test_drawings_become_the_same_images(modules: PageModules, foreground: ForegroundStyle, kind: str) -> None:
    pens = {
        "filled": PenStyle(foreground, True, 200.0, 1 / 28),
        "by mass": PenStyle(replace(foreground, by_mass=True, background=255, mean=90.0), True, 20.0, 1 / 28),
        "ink": PenStyle(foreground, False, 255.0, 0.09),
        "whole": PenStyle.unknown(),
        "colour": PenStyle(None, False, 0.0, 1 / 20),
    }
    shape = {"whole": (8, 8), "colour": (64, 48, 3), "by mass": (20, 32)}.get(kind, (28, 28))
    facts, generator = parts(Style(shape), pens[kind]), np.random.default_rng(3)
    for turn in range(6):
        strokes, fills = scribbles(generator), (None, True, False)[turn % 3]
        try:
            own = Drawing.of(strokes, fills).conversion(pens[kind], shape)
        except DataError as error:
            with pytest.raises(PageError, match=re.escape(str(error))):
                modules.call(f"{PHOTOS}.drawn(_[2])", *facts, {"strokes": strokes, "fills": fills})
            continue
        found = modules.call(f"{PHOTOS}.drawn(_[2])", *facts, {"strokes": strokes, "fills": fills})
        compare_steps(found, ModelInputs(own.image[None], np.zeros(1, np.bool_), steps=own.steps))


def test_nothing_drawn_is_said(modules: PageModules) -> None:
    facts = parts(Style((28, 28)), PenStyle.unknown())
    rubbed = [[[0.5, 0.5], [0.6, 0.6]], {"points": [[0.5, 0.5], [0.6, 0.6]], "erases": True}]
    with pytest.raises(PageError, match="Nothing is drawn yet, or all of it was erased"):
        modules.call(f"{PHOTOS}.drawn(_[2])", *facts, {"strokes": rubbed})


def test_silhouettes_of_masks_are_found_again(modules: PageModules, foreground: ForegroundStyle) -> None:
    mask = shirt_mask((60, 80), (10, 10), (40, 60))
    own = float(foreground.silhouettes.likeness([mask])[0])
    facts, arrays = parts(Style((28, 28), foreground))
    code = (
        '(async () => { const { likeness } = await import("http://page.test/foreground.js");'
        'const { preparedStyle } = await import("http://page.test/conversion.js");'
        "const style = preparedStyle(_[0].photos.foreground, _[1]);"
        "return likeness({ mask: _[2].data, height: 80, width: 60 }, style.silhouettes()); })()"
    )
    assert modules.call(code, facts, arrays, mask.astype(np.uint8)) == pytest.approx(own, abs=1e-6)
