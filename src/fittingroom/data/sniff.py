"""What a file is, judged by its first bytes: for messages about a file that is not what it should be."""

from __future__ import annotations

_STARTS = (
    (b"\x1f\x8b", "gzip data"),
    (b"PK\x03\x04", "a ZIP archive (such as .npz)"),
    (b"\x93NUMPY", "a single NumPy array (.npy)"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"\x89HDF", "an HDF5 file"),
)


def what_it_is(start: bytes) -> str:
    """What a file that begins with these bytes (64 are enough) probably is, as an ending for 'it ...'."""
    if not start:
        return "is empty"
    kind = next((kind for prefix, kind in _STARTS if start.startswith(prefix)), None) or _kind_of_text(start)
    if kind is None:
        return f"begins with the bytes {start[:8].hex(' ')}"
    return f"looks like {kind}"


def webp_size(start: bytes) -> tuple[int, int]:
    """Width and height that the first bytes (30 are enough) of a WebP picture declare; 0 and 0 for any other file.

    The three forms are described at https://developers.google.com/speed/webp/docs/riff_container.
    """
    if start[:4] != b"RIFF" or start[8:12] != b"WEBP" or len(start) < 30:
        return 0, 0
    if start[12:16] == b"VP8X":
        return int.from_bytes(start[24:27], "little") + 1, int.from_bytes(start[27:30], "little") + 1
    if start[12:16] == b"VP8L":
        bits = int.from_bytes(start[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(start[26:28], "little") & 0x3FFF, int.from_bytes(start[28:30], "little") & 0x3FFF


def _kind_of_text(start: bytes) -> str | None:
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "a web page"
    if text.startswith(b"<?xml") or b"<svg" in text:
        return "SVG or other XML"
    if start[4:8] == b"ftyp":
        return "a HEIC picture or a film"
    if text and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return f"text that begins with {start[:20].decode('ascii')!r}"
    return None
