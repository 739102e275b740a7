"""Arrays in JSON for models that take colour."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from fittingroom.photos.conversion import Style
from fittingroom.runs.data_record import DataRecord
from fittingroom.serving.limits import RefusedError
from fittingroom.serving.request_images import RequestReader

SHAPE = (4, 5, 3)


@pytest.fixture
def reader() -> RequestReader:
    counts = {"train": 10, "validation": 0, "test": 0}
    data = DataRecord("folder:x", "", "", ("a", "b"), SHAPE, 255.0, counts, {"name": "folder:x"})
    return RequestReader(data, Style(SHAPE))


def read(reader: RequestReader, values: Any) -> list[Any]:
    return list(reader.numbers(json.dumps(values).encode()).images)


@pytest.mark.parametrize("count", [1, 2, 4])
def test_grey_images_get_three_equal_channels(reader: RequestReader, count: int) -> None:
    grey = np.arange(count * 20, dtype=np.uint8).reshape(count, 4, 5)
    expected = grey[..., None].repeat(3, axis=3)
    np.testing.assert_array_equal(read(reader, grey.tolist()), expected)
    np.testing.assert_array_equal(read(reader, grey[0].tolist()), expected[:1])


def test_images_in_colour_are_taken_as_they_are(reader: RequestReader) -> None:
    colour = np.arange(120, dtype=np.uint8).reshape(2, *SHAPE)
    np.testing.assert_array_equal(read(reader, colour.tolist()), colour)
    np.testing.assert_array_equal(read(reader, colour[0].tolist()), colour[:1])


@pytest.mark.parametrize("values", [[], [[]], 3, [[1, 2], [3]], {"a": 1}, None])
def test_what_is_no_image_is_refused_with_what_was_expected(reader: RequestReader, values: Any) -> None:
    with pytest.raises(RefusedError, match="4×5×3") as refused:
        read(reader, values)
    assert refused.value.status == 422
