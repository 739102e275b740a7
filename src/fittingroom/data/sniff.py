"""Reading no more of a file than was declared, and nothing that is no file, whatever is found there.

What a file is, judged by its first bytes, and what to do with it: for messages about files of other kinds.
"""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

from fittingroom.atomic import open_file
from fittingroom.data.headers import webp_size
from fittingroom.errors import DataError

LARGEST_ARRAY = 4 * 2**30
"""Bytes. A larger array is refused before anything is read, since it would have to fit in memory."""

_LARGEST_RATIO = 1032
"""Deflate cannot pack tighter than this, so a compressed file has a largest possible content."""

_SUSPICIOUS_RATIO = 100
"""Arrays of pictures pack into a tenth, floats that hold bytes into a fiftieth; what packs tighter holds nothing."""

_UNSUSPICIOUS = 16 * 2**20
"""Bytes. Below this, sorted labels and the like may pack as tight as they can."""

_CHUNK = 2**20


def check_declared(what: str, declared: int, stored: int, *, compressed: bool) -> None:
    """Compares the bytes that a header declares with the `stored` bytes of the file, before anything is allocated.

    Raises:
        DataError: the file cannot hold what it declares, is packed too tight to hold images, or declares more than
            `LARGEST_ARRAY`.
    """
    possible = stored * _LARGEST_RATIO if compressed else stored
    if declared > possible:
        most = f"; {stored:,} compressed bytes hold at most {possible:,}" if compressed else f", but it has {stored:,}"
        raise DataError(f"{what} declares {declared:,} bytes of values{most}. Get the file again.")
    if declared > LARGEST_ARRAY:
        raise DataError(f"{what} declares {declared:,} bytes of values; at most {LARGEST_ARRAY:,} are read.")
    if compressed and declared > max(_UNSUSPICIOUS, _SUSPICIOUS_RATIO * stored):
        raise DataError(
            f"{what} declares {declared:,} bytes of values in {stored:,} compressed bytes: more than "
            f"{_SUSPICIOUS_RATIO} times as much, which images never are. Save them uncompressed if they are real."
        )


def read_declared(stream: io.BufferedIOBase, declared: int, what: str) -> bytearray:
    """Exactly `declared` bytes, after which the stream must end; memory grows only with what is really there.

    Raises:
        DataError: the stream is cut off or damaged (the message has the offset), ends too early, or goes on.
    """
    content = bytearray()
    try:
        while len(content) < declared and (chunk := stream.read1(min(_CHUNK, declared - len(content)))):
            content += chunk
        goes_on = len(content) == declared and stream.read1(1) != b""
    except EOFError as error:
        raise DataError(
            f"{what} is cut off: the compressed data break off after {len(content):,} of {declared:,} bytes of values. "
            "Get the file again."
        ) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{what} is damaged after {len(content):,} of {declared:,} bytes of values ({error}). Get the file again."
        ) from error
    if goes_on:
        raise DataError(f"{what} declares {declared:,} bytes of values, and has bytes after the end of them.")
    if len(content) < declared:
        raise DataError(f"{what} declares {declared:,} bytes of values, but it has {len(content):,}. Get it again.")
    return content


LOOKED_AT = 512
"""Bytes that are enough to tell every kind; a tar archive is known by what stands at its 257th."""

_AS_JPEG = "Save it as JPEG or PNG"
_UNPACK = "Unpack it first"
_NO_PICKLE = "It can run any code when it is read, so it is not; save its arrays with numpy.savez"

_STARTS = (
    (b"PK\x03\x04", "a ZIP archive (such as .npz)", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", ""),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (.7z)", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive (.rar)", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive (.xz)", _UNPACK),
    *((b"BZh%d1AY&SY" % level, "a bzip2 archive (.bz2)", _UNPACK) for level in range(1, 10)),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (.zst)", _UNPACK),
    (b"\x93NUMPY", "a single NumPy array (.npy)", "Save images and labels together with numpy.savez"),
    (b"\x89PNG", "a PNG picture", ""),
    (b"\xff\xd8\xff", "a JPEG picture", ""),
    (b"GIF8", "a GIF picture", ""),
    (b"II*\0", "a TIFF picture", _AS_JPEG),
    (b"MM\0*", "a TIFF picture", _AS_JPEG),
    (b"II+\0", "a TIFF picture", _AS_JPEG),
    (b"MM\0+", "a TIFF picture", _AS_JPEG),
    (b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 picture", _AS_JPEG),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _AS_JPEG),
    (b"\0\0\0\x0cJXL \r\n", "a JPEG XL picture", _AS_JPEG),
    (b"\xff\x0a", "a JPEG XL picture", _AS_JPEG),
    (b"8BPS", "a Photoshop picture (.psd)", _AS_JPEG),
    *((b"\x80" + protocol, "a pickle of Python", _NO_PICKLE) for protocol in (b"\2", b"\3", b"\4\x95", b"\5\x95")),
    (b"MATLAB 5.0", "a MATLAB file (.mat)", "Save its arrays with numpy.savez"),
    (b"%PDF", "a PDF document", "Save its pictures as JPEG or PNG"),
    (b"\x89HDF", "an HDF5 file", "Save its arrays with numpy.savez"),
    (b"PAR1", "a Parquet table", "Save it as CSV, or its pictures as files"),
    (b"SQLite format 3", "an SQLite database", ""),
    (b"\xff\xfe", "text in UTF-16", "Save it as UTF-8"),
    (b"\xfe\xff", "text in UTF-16", "Save it as UTF-8"),
)

_ENDINGS = {
    "a PNG picture": ".png",
    "a JPEG picture": ".jpg",
    "a GIF picture": ".gif",
    "a WebP picture": ".webp",
    "a BMP picture": ".bmp",
}

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "a HEIC picture"),
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
}
"""Of the files that begin as films do, those that are pictures, by the four letters after `ftyp`."""

_ICONS = {b"\0\0\1\0": "an ICO icon", b"\0\0\2\0": "a CUR cursor"}


def start_of(path: Path) -> bytes:
    """The first bytes of a file, as many as tell its kind.

    Raises:
        OSError: it cannot be read, or is not an ordinary file.
    """
    with open_file(path) as stream:
        return stream.read(LOOKED_AT)


def what_it_is(start: bytes) -> str:
    """What a file that begins with these bytes (`LOOKED_AT` are enough) probably is, as an ending for 'it ...'."""
    if not start:
        return "is empty"
    kind, _ = _kind(start)
    return f"looks like {kind}" if kind else f"begins with the bytes {start[:8].hex(' ')}"


def unread_picture(start: bytes) -> str | None:
    """The kind of a picture that is none of ours, such as 'a HEIC picture'; None for all other files."""
    kind, mend = _kind(start)
    return kind if mend == _AS_JPEG else None


def picture_ending(start: bytes) -> str | None:
    """The ending that a picture of an accepted kind goes by, such as '.png'; None for all other files."""
    return _ENDINGS.get(_kind(start)[0] or "")


def what_to_do(start: bytes) -> str:
    """What makes such a file readable, as a sentence with a space before it; empty where that is not known."""
    mend = _kind(start)[1]
    return f" {mend}." if mend else ""


def is_idx(start: bytes) -> bool:
    """Whether an IDX file that is not packed begins so: two zeros, a type, a number of dimensions."""
    return start[:2] == b"\0\0" and start[2:3] in {b"\x08", b"\x09", b"\x0b", b"\x0c", b"\x0d", b"\x0e"}


def unpacked_start(start: bytes) -> bytes:
    """The first bytes of what is packed with gzip in a file that begins so; empty where that is damaged."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(start)) as stream:
            return stream.read1(LOOKED_AT)
    except (OSError, EOFError, zlib.error):
        return b""


def _kind(start: bytes) -> tuple[str | None, str]:
    """What begins with these bytes, and how to make it readable."""
    found = next(((kind, mend) for prefix, kind, mend in _STARTS if start.startswith(prefix)), None)
    if found is not None:
        return found
    if start[4:8] == b"ftyp":
        brand = _BRANDS.get(start[8:12])
        return (brand, _AS_JPEG) if brand else ("a film", "Save single pictures of it as JPEG or PNG")
    if start[:2] == b"\x1f\x8b":
        return _packed(start)
    return _kind_by_fields(start) or _kind_of_text(start)


def _kind_by_fields(start: bytes) -> tuple[str, str] | None:
    """The same of kinds whose first bytes alone are too few to tell."""
    if start[:4] in _ICONS and start[4:6] != b"\0\0":
        return _ICONS[start[:4]], _AS_JPEG
    if start[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if is_idx(start) and 1 <= start[3] <= 4:
        return "an IDX file", ""
    if webp_size(start) != (0, 0):
        return "a WebP picture", ""
    return ("a BMP picture", "") if start[:2] == b"BM" and start[6:10] == bytes(4) else None


def _packed(start: bytes) -> tuple[str, str]:
    """The same of what is packed with gzip."""
    inside = unpacked_start(start)
    if inside[257:262] == b"ustar":
        return "a packed tar archive (.tar.gz)", _UNPACK
    kind = _kind(inside)[0] if inside and inside[:2] != b"\x1f\x8b" else None
    return (f"gzip data with {kind} inside", _UNPACK) if kind else ("gzip data", _UNPACK)


def _kind_of_text(start: bytes) -> tuple[str | None, str]:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page", "Download the file itself, not the page about it"
    if text.startswith(b"<?xml") or b"<svg" in text[:64]:
        return "SVG or other XML", "Save it as PNG" if b"<svg" in text else ""
    if text.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "`git lfs pull` fetches the file itself"
    if text and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start[:64]):
        return f"text that begins with {start[:20].decode('ascii')!r}", ""
    return None, ""
