"""Pictures for schemathesis, which would send bytes that are none and expect them to be taken: no schema can tell.

`schemathesis.toml` names this module, and its hooks load it.
"""

from __future__ import annotations

from io import BytesIO

import schemathesis
from hypothesis import strategies as st
from PIL import Image

from fittingroom.serving.request_images import PICTURES


def picture(form: str, size: tuple[int, int], shade: int) -> bytes:
    """A grey picture."""
    stream = BytesIO()
    Image.new("L", size, shade).save(stream, form)
    return stream.getvalue()


SIZES = st.sampled_from([(16, 16), (28, 28), (40, 30), (100, 64)])

for kind in PICTURES:
    form = st.just(kind.removeprefix("image/").upper())
    schemathesis.openapi.media_type(kind, st.builds(picture, form, SIZES, st.integers(0, 255)))
