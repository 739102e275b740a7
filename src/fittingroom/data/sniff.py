"""What a file is by its first bytes, what to do with it, and reading no more of it than it declares.

Names of files are not trusted: pictures are called .jpg and are HEIC, downloads are called .npz and are web pages. So
messages look at what is there, and say how to make it readable.
"""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from fittingroom.atomic import open_file
from fittingroom.errors import DataError

LARGEST_ARRAY = 4 * 2**30
"""Bytes. A larger array is refused before anything is read, since it would have to fit in memory."""

LOOKED_AT = 512
"""Bytes that are enough to tell every kind; a tar archive is known by its 257th byte and those behind it."""

_LARGEST_RATIO = 1032
"""Deflate cannot pack tighter than this, so a compressed file has a largest possible content."""

_SUSPICIOUS_RATIO = 100
"""Arrays of pictures pack into a tenth, floats that hold bytes into a fiftieth; what packs tighter holds nothing."""

_UNSUSPICIOUS = 16 * 2**20
"""Bytes. Below this, sorted labels and the like may pack as tight as they can."""

_CHUNK = 2**20

_GZIP = b"\x1f\x8b"
_AS_JPEG = "Save it as JPEG or PNG"
_UNPACK = "Unpack it first"
_AS_NPZ = "Save its arrays with numpy.savez"
_NO_PICKLE = "Reading it could run any code; save its arrays with numpy.savez instead"

_KINDS = (
    (rb"PK\x03\x04", "a ZIP archive (such as .npz)", _UNPACK),
    (rb"PK\x05\x06", "an empty ZIP archive", ""),
    (rb"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (.7z)", _UNPACK),
    (rb"Rar!\x1a\x07", "a RAR archive (.rar)", _UNPACK),
    (rb"\xfd7zXZ\0", "an xz archive (.xz)", _UNPACK),
    (rb"BZh[1-9]1AY&SY", "a bzip2 archive (.bz2)", _UNPACK),
    (rb"\x28\xb5\x2f\xfd", "a Zstandard archive (.zst)", _UNPACK),
    (rb".{257}ustar", "a tar archive", _UNPACK),
    (rb"\x93NUMPY", "a single NumPy array (.npy)", "Save images and labels together with numpy.savez"),
    (rb"\0\0[\x08\x09\x0b-\x0e][\x01-\x04]", "an IDX file", ""),
    (rb"\x89PNG", "a PNG picture", ""),
    (rb"\xff\xd8\xff", "a JPEG picture", ""),
    (rb"GIF8", "a GIF picture", ""),
    (rb"RIFF.{4}WEBP.{18}", "a WebP picture", ""),
    (rb"BM.{4}\0{4}", "a BMP picture", ""),
    (rb"II[*+]\0|MM\0[*+]", "a TIFF picture", _AS_JPEG),
    (rb"\0\0\0\x0cjP  \r\n|\xff\x4f\xff\x51", "a JPEG 2000 picture", _AS_JPEG),
    (rb"\0\0\0\x0cJXL \r\n|\xff\x0a", "a JPEG XL picture", _AS_JPEG),
    (rb"8BPS", "a Photoshop picture (.psd)", _AS_JPEG),
    (rb"\0\0\x01\0(?!\0\0)", "an ICO icon", _AS_JPEG),
    (rb"\0\0\x02\0(?!\0\0)", "a CUR cursor", _AS_JPEG),
    (rb".{4}ftyp(hei[cxms]|hev[cx]|mif1|msf1)", "a HEIC picture", _AS_JPEG),
    (rb".{4}ftypavi[fs]", "an AVIF picture", _AS_JPEG),
    (rb".{4}ftyp", "a film", "Save single pictures of it as JPEG or PNG"),
    (rb"\x80([\x02\x03]|[\x04\x05]\x95)", "a pickle of Python", _NO_PICKLE),
    (rb"MATLAB 5\.0", "a MATLAB file (.mat)", _AS_NPZ),
    (rb"%PDF", "a PDF document", "Save its pictures as JPEG or PNG"),
    (rb"\x89HDF", "an HDF5 file", _AS_NPZ),
    (rb"PAR1", "a Parquet table", "If it has a column of pictures and one of labels, load it as parquet:FILE"),
    (rb"SQLite format 3", "an SQLite database", ""),
    (rb"\xff\xfe|\xfe\xff", "text in UTF-16", "Save it as UTF-8"),
    (
        rb"(?i)[\xef\xbb\xbf\s]*<(!doctype html|html|head|body)",
        "a web page",
        "Download the file itself, not its web page",
    ),
    (rb"(?i)[\xef\xbb\xbf\s]*.{0,60}<svg", "an SVG picture", "Save it as PNG"),
    (rb"(?i)[\xef\xbb\xbf\s]*<\?xml", "XML", ""),
    (rb"version https://git-lfs", "a pointer of Git LFS", "`git lfs pull` fetches the file itself"),
)
"""How a file of each kind begins (a regular expression), and what makes it readable. The first that fits counts."""

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif", "WebP": ".webp", "BMP": ".bmp"}


@dataclass(frozen=True)
class FileKind:
    """What a file is by its first bytes.

    Attributes:
        name: such as 'a PNG picture'; None where they do not tell.
        mend: what makes it readable, without a full stop; empty where nothing is known to.
        start: the bytes.
    """

    name: str | None
    mend: str
    start: bytes

    @classmethod
    def of(cls, start: bytes) -> FileKind:
        """The kind of a file that begins with these bytes, of which `LOOKED_AT` are enough."""
        if start[:2] == _GZIP:
            return cls(*_packed_kind(start), start)
        for pattern, name, mend in _KINDS:
            if re.match(pattern, start, re.DOTALL):
                return cls(name, mend, start)
        if start and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start[:64]):
            return cls(f"text that begins with {start[:20].decode('ascii')!r}", "", start)
        return cls(None, "", start)

    @classmethod
    def of_file(cls, path: Path) -> FileKind:
        """The kind of a file.

        Raises:
            OSError: it cannot be read, or is not an ordinary file.
        """
        with open_file(path) as stream:
            return cls.of(stream.read(LOOKED_AT))

    def __str__(self) -> str:
        """The end of a sentence that begins with the name of the file: 'looks like a PDF document'."""
        if not self.start:
            return "is empty"
        return f"looks like {self.name}" if self.name else f"begins with the bytes {self.start[:8].hex(' ')}"

    @property
    def advice(self) -> str:
        """What makes it readable, as a sentence with a space before it; empty where nothing is known to."""
        return f" {self.mend}." if self.mend else ""

    @property
    def is_unread_picture(self) -> bool:
        """Whether it is a picture in a format that is not accepted."""
        return self.mend == _AS_JPEG

    @property
    def is_idx(self) -> bool:
        """Whether it is an IDX file, packed with gzip or not, or so damaged that only the reader of IDX can say."""
        start = self.start
        if start[:2] == _GZIP:
            start = _unpacked(start)
            if not start:
                return True
        return start[:2] == b"\0\0" and start[2:3] in {b"\x08", b"\x09", b"\x0b", b"\x0c", b"\x0d", b"\x0e"}

    @property
    def is_zip(self) -> bool:
        """Whether it is a ZIP archive, as NPZ files are."""
        return self.start.startswith(b"PK\x03\x04")

    @property
    def suffix(self) -> str | None:
        """The ending of the names of accepted pictures of this kind, such as '.png'; None for all other kinds."""
        return _SUFFIXES.get((self.name or "").removeprefix("a ").removesuffix(" picture"))


def _packed_kind(start: bytes) -> tuple[str, str]:
    """Name and mend of what is packed with gzip."""
    inside = _unpacked(start)
    kind = FileKind.of(inside) if inside[:2] != _GZIP else None
    if kind is None or kind.name is None:
        return "gzip data", _UNPACK
    if kind.name == "a tar archive":
        return "a packed tar archive (.tar.gz)", _UNPACK
    return f"gzip data with {kind.name} inside", _UNPACK


def _unpacked(start: bytes) -> bytes:
    """The first bytes of what is packed with gzip in a file that begins so; empty where that is damaged."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(start)) as stream:
            return stream.read1(LOOKED_AT)
    except (OSError, EOFError, zlib.error):
        return b""


def read_declared(stream: io.BufferedIOBase, declared: int, stored: int, what: str, *, compressed: bool) -> bytearray:
    """Exactly the bytes that a header declares, after which the stream must end.

    The number is compared with the size of the file before anything is allocated, and memory grows only with what is
    really there.

    Args:
        stream: at the first byte of the values.
        declared: the number of bytes.
        stored: the bytes of the file that hold them.
        what: what to call the file in messages.
        compressed: whether they are packed with Deflate, as gzip and ZIP do.

    Raises:
        DataError: the file cannot hold what it declares, packs it tighter than images can be, declares more than
            `LARGEST_ARRAY`, is cut off or damaged, or has bytes after the end.
    """
    _check_declared(declared, stored, what, compressed=compressed)
    content = bytearray()
    try:
        while len(content) < declared and (chunk := stream.read1(min(_CHUNK, declared - len(content)))):
            content += chunk
        # The read behind the last byte also makes gzip and ZIP compare their checksums.
        has_more = len(content) == declared and stream.read1(1) != b""
    except EOFError as error:
        raise DataError(
            f"{what} is cut off: its {stored:,} compressed bytes hold only {len(content):,} of {declared:,} bytes of "
            "values. Get the file again."
        ) from error
    except (gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"{what} is damaged after {len(content):,} of {declared:,} bytes of values ({error}). Get the file again."
        ) from error
    if has_more:
        raise DataError(f"{what} declares {declared:,} bytes of values, but has more. Get the file again.")
    if len(content) < declared:
        raise DataError(
            f"{what} is cut off: it declares {declared:,} bytes of values, but has {len(content):,}. Get the file "
            "again."
        )
    return content


def _check_declared(declared: int, stored: int, what: str, *, compressed: bool) -> None:
    possible = stored * _LARGEST_RATIO if compressed else stored
    if declared > possible:
        most = f"; {stored:,} compressed bytes hold at most {possible:,}" if compressed else f", but has {stored:,}"
        raise DataError(f"{what} declares {declared:,} bytes of values{most}. Get the file again.")
    if declared > LARGEST_ARRAY:
        raise DataError(f"{what} declares {declared:,} bytes of values; at most {LARGEST_ARRAY:,} are read.")
    if compressed and declared > max(_UNSUSPICIOUS, _SUSPICIOUS_RATIO * stored):
        raise DataError(
            f"{what} declares {declared:,} bytes of values in {stored:,} compressed bytes. Images never shrink to less "
            f"than 1/{_SUSPICIOUS_RATIO} of their size; if these are real, save them uncompressed."
        )
