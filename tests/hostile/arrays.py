"""Hostile NPZ, NPY and IDX files."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tests.hostile.case import Case, Place, deflated, gzipped, header_of, npy_header, objects_npy, pickled, rows

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


LABELS = npy(np.arange(20, dtype=np.uint8) % 2)


def npz(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Callable[[Place], None]:
    """Writes `data.npz` with these members, whatever their names."""

    def build(place: Place) -> None:
        with zipfile.ZipFile(place.folder / "data.npz", "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)

    return build


def images(content: bytes, compression: int = zipfile.ZIP_STORED) -> Callable[[Place], None]:
    """Writes `data.npz` with these images and honest labels."""
    return npz({"x_train.npy": content, "y_train.npy": LABELS}, compression)


def pickled_images(place: Place) -> None:
    images(objects_npy(place.canary))(place)


def pickle_as_npz(place: Place) -> None:
    (place.folder / "data.npz").write_bytes(pickled(place.canary))


def pickled_labels(place: Place) -> None:
    npz({"x_train.npy": npy(rows(20)), "y_train.npy": objects_npy(place.canary)})(place)


def path_tricks(place: Place) -> None:
    names = ("../../outside/canary.npy", str(place.canary), "..\\..\\canary.npy", "a\x00b.npy")
    npz({**dict.fromkeys(names, LABELS), "x_train.npy": npy(rows(20)), "y_train.npy": LABELS})(place)


def only_path_tricks(place: Place) -> None:
    names = ("../../outside/canary.npy", str(place.canary), "/etc/passwd.npy", "\x1b[2Jx.npy")
    npz({**dict.fromkeys(names, LABELS), **{f"{number}.npy": b"" for number in range(1000)}})(place)


def packed_zip(members: Mapping[str, tuple[bytes, int]]) -> bytes:
    """A ZIP archive of members that are packed already: name -> raw deflate stream and unpacked size."""
    body, directory = b"", b""
    for name, (content, size) in members.items():
        sizes = (20, 0, 8, 0, 0, 0, len(content), min(size, 2**32 - 1), len(name))
        directory += struct.pack("<4sH5H3L5H2L", b"PK\x01\x02", 20, *sizes, *(0,) * 5, len(body)) + name.encode()
        body += struct.pack("<4s5H3L2H", b"PK\x03\x04", *sizes, 0) + name.encode() + content
    count = len(members)
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)


def packed_images(start: bytes, megabytes: int) -> Callable[[Place], object]:
    """Writes `data.npz` whose images are these bytes and so many megabytes of zeros, packed."""

    def build(place: Place) -> None:
        images = deflated(start, megabytes), len(start) + megabytes * 2**20
        labels = deflated(LABELS, 0), len(LABELS)
        (place.folder / "data.npz").write_bytes(packed_zip({"x_train.npy": images, "y_train.npy": labels}))

    return build


def lying_directory(place: Place) -> None:
    """A directory that declares another size than the member has."""
    images(npy(rows(20)), zipfile.ZIP_DEFLATED)(place)
    path = place.folder / "data.npz"
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 2**31)
    path.write_bytes(content)


def many_members(place: Place) -> None:
    """A directory of 300,000 members, 20 MB, all of the same nothing."""
    record = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *(0,) * 6, 0, 0, 0, 10, *(0,) * 4, 0, 0)
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", *(0,) * 5, 0, 0, 0, 0, 0)
    directory = b"".join(record + b"%010d" % number for number in range(300_000))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, len(directory), len(local), 0)
    (place.folder / "data.npz").write_bytes(local + directory + end)


def idx_header(*shape: int, code: int = 0x08) -> bytes:
    return bytes([0, 0, code, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)


def idx(train_images: bytes) -> Callable[[Place], None]:
    """Writes a folder of four IDX files, the training images being these bytes."""
    contents = (
        train_images,
        idx_header(20) + bytes([0, 1] * 10),
        idx_header(4, 8, 8) + rows(4).tobytes(),
        idx_header(4) + bytes([0, 1, 0, 1]),
    )

    def build(place: Place) -> None:
        for name, content in zip(NAMES, contents, strict=True):
            (place.folder / name).write_bytes(content)

    return build


def bomb(start: bytes, megabytes: int) -> Callable[[Place], None]:
    """Writes IDX files, the training images being packed: these bytes and so many megabytes of zeros."""

    def build(place: Place) -> None:
        idx(gzipped(start, megabytes))(place)

    return build


def linked(name: str, target: str) -> Callable[[Place], None]:
    """Writes honest IDX files, one of which is a link."""

    def build(place: Place) -> None:
        idx(idx_header(20, 8, 8) + rows(20).tobytes())(place)
        path: Path = place.folder / name
        path.unlink()
        path.symlink_to(target)

    return build


def tiny_images(place: Place) -> None:
    """30 million images of one pixel, which cost far more as objects than as bytes."""
    count = 30 * 2**20
    idx(gzipped(idx_header(count, 1, 1), 30))(place)
    (place.folder / NAMES[1]).write_bytes(gzipped(idx_header(count), 30))


_AGAIN = "Get (the file|it) again"

CASES: dict[str, Case] = {
    "npz images are pickles": Case("npz", pickled_images, r"pickled Python objects, which can run any code"),
    "npz labels are pickles": Case("npz", pickled_labels, r"pickled Python objects, which can run any code"),
    "npz is a pickle": Case("npz", pickle_as_npz, r"is not an NPZ file"),
    "npz members with paths": Case("npz", path_tricks, None),
    "npz members with paths only": Case("npz", only_path_tricks, r"missing: x_train and y_train"),
    "npz shape of 10^18": Case("npz", images(npy_header(header_of("|u1", (10**9, 10**9, 1)))), _AGAIN),
    "npz shape that overflows": Case("npz", images(npy_header(header_of("<f8", (2**62, 8, 8)))), _AGAIN),
    "npz negative shape": Case("npz", images(npy_header(header_of("|u1", (-1, -8, 8))) + bytes(64)), _AGAIN),
    "npz empty shape of huge sides": Case("npz", images(npy_header(header_of("|u1", (0, 2**40, 2**40)))), _AGAIN),
    "npz shape of a huge integer": Case("npz", images(npy_header(header_of("|u1", "9" * 9000))), r"damaged header"),
    "npz shape of true": Case("npz", images(npy_header(header_of("|u1", (True, 8, 8))) + bytes(64)), r"."),
    "npz header of 4 GB": Case("npz", images(npy_header("{", version=2, declared=2**32 - 1)), r"header"),
    "npz header of 1.5 GB of spaces": Case(
        "npz", packed_images(npy_header("{", version=2, declared=2**32 - 1), 1500), r"header"
    ),
    "npz header of brackets": Case("npz", images(npy_header("(" * 9000)), r"damaged header"),
    "npz header of code": Case(
        "npz", images(npy_header("__import__('os').system('touch canary')\n")), r"damaged header"
    ),
    "npz strings": Case(
        "npz", images(npy_header(header_of("<U1000000000", (20,)))), r"expected numbers|damaged header"
    ),
    "npz structured type": Case(
        "npz", images(npy_header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}\n")), r"pickled"
    ),
    "npz zip bomb": Case(
        "npz", packed_images(npy_header(header_of("|u1", (2 * 1024, 1024, 1024))), 2048), r"never shrink"
    ),
    "npz with a lying directory": Case("npz", lying_directory, _AGAIN),
    "npz with 300,000 members": Case("npz", many_members, r"members|damaged"),
    "idx shape of 2^31": Case("idx", idx(idx_header(2**31, 2**31, 2**31) + bytes(100)), r"declares 9,9"),
    "idx shape of 2^31, doubles": Case("idx", idx(idx_header(2**31, 8, 8, code=0x0E) + bytes(100)), r"declares 1,0"),
    "idx no images of huge sides": Case("idx", idx(idx_header(0, 2**32 - 1, 2**32 - 1)), r"has no values"),
    "idx gzip bomb": Case("idx", bomb(idx_header(2 * 1024, 1024, 1024), 2048), r"never shrink"),
    "idx gzip bomb behind honest images": Case(
        "idx", bomb(idx_header(20, 8, 8) + rows(20).tobytes(), 1024), r"but has more"
    ),
    "idx images of one pixel": Case("idx", tiny_images, r"never shrink|1x1 pixels"),
    "idx file is a link to /dev/zero": Case("idx", linked(NAMES[0], "/dev/zero"), r"missing"),
}
