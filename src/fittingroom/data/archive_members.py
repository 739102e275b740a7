"""The names in an archive of somebody else: which of them can be files of a folder, each in a place of its own."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
import zipfile
from contextlib import suppress
from dataclasses import dataclass

from fittingroom.errors import DataError
from fittingroom.text import amount, word_list

NOTHING = "Nothing was unpacked."
"""What stands in every refusal."""

_LEFT_OUT = re.compile(r"(?i)__macosx|\.ds_store|\._.*|thumbs\.db|desktop\.ini|\$recycle\.bin|@eadir")
"""What file managers add to archives."""

_UNUSUAL = ':<>"|?*' if os.name == "nt" else ""  # Windows takes a name with a colon for a part of another file
_LONGEST_NAME = 255  # bytes of a file's name
_LONGEST_PATH = 1_000  # bytes; with the folder before it, it must stay below what systems can open
_DEEPEST = 20
_METHODS = {9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd", 95: "xz"}
_SHOWN = 80  # characters of a name in a message
_UTF8_FLAG = 0x800
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # ordinary, strong, with the directory


@dataclass(frozen=True)
class Members:
    """The members of an archive by where they go below the folder, and what was left out or changed."""

    files: dict[str, zipfile.ZipInfo]
    folders: tuple[str, ...]
    left_out: tuple[str, ...]
    with_backslashes: bool

    @classmethod
    def of(cls, packed: zipfile.ZipFile, name: str, most: int) -> Members:
        """The members of an archive.

        Args:
            packed: the archive.
            name: of the archive, for messages.
            most: files and folders that there may be.

        Raises:
            DataError: there are none or too many, a member cannot be a file of its own below the folder, or is
                neither a file nor a folder.
        """
        files, folders, left_out, with_backslashes = dict[str, zipfile.ZipInfo](), list[str](), list[str](), False
        spelt: dict[str, str] = {}
        for member in packed.infolist():
            written = _decoded(member)
            with_backslashes = with_backslashes or "\\" in written
            path = written.replace("\\", "/")
            parts = [part for part in path.split("/") if part not in {"", "."}]
            _check_name(name, written, path, parts)
            added = next((part for part in parts if _LEFT_OUT.fullmatch(part)), None)
            if added is not None:
                left_out.append(added)
                continue
            _check_kind(name, written, member)
            _check_spelling(name, parts, spelt)
            place, is_folder = "/".join(parts), path.rpartition("/")[2] in {"", "."}
            if is_folder:
                folders.extend([place] if parts else [])
            elif place in files:
                raise DataError(f"{name} has two files called {shown(place)!r}. {NOTHING} Pack the folder again.")
            else:
                files[place] = member
        places = (*files, *folders)
        above = {place[: found.start()] for place in places for found in re.finditer("/", place)}
        for place in files:
            if place in above or place in folders:
                raise DataError(f"{name} has {shown(place)!r} as a file and as a folder. {NOTHING} Pack it again.")
        if len(files) + len(above) > most:
            raise too_many(name, most)
        if not files:
            raise DataError(f"{name} has no files in it. {NOTHING} Pack the folder again.")
        return cls(files, tuple(folders), tuple(left_out), with_backslashes)

    @property
    def size(self) -> int:
        """Bytes of all files, as they declare it."""
        return sum(member.file_size for member in self.files.values())

    def notes(self, name: str) -> tuple[str, ...]:
        """Sentences about what was left out, changed, or not opened."""
        notes = []
        if self.left_out:
            kinds = word_list(sorted({shown(added) for added in self.left_out}), most=3)
            notes.append(f"Left out of {name}: {amount(len(self.left_out), 'file')} that a system adds ({kinds}).")
        if self.with_backslashes:
            notes.append(f"{name} separates folders by backslashes, as old programs for Windows do.")
        nested = [shown(place) for place in self.files if place.lower().endswith(".zip")]
        if nested:
            notes.append(f"Not unpacked: {amount(len(nested), 'archive')} inside {name} ({word_list(nested, most=3)}).")
        return tuple(notes)


def _decoded(member: zipfile.ZipInfo) -> str:
    """The name as it was meant: many programs write UTF-8 without the flag for it, which `zipfile` reads as cp437."""
    if not member.flag_bits & _UTF8_FLAG:
        with suppress(UnicodeError):
            return member.orig_filename.encode("cp437").decode("utf-8")
    return member.orig_filename


def _check_name(name: str, written: str, path: str, parts: list[str]) -> None:
    refused = f"{name} has a file called {shown(written)!r}"
    if path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts:
        raise DataError(f"{refused}, which would lie outside the folder that it is unpacked into. {NOTHING}")
    if any(unicodedata.category(one) in {"Cc", "Cs"} for one in written) or any(one in written for one in _UNUSUAL):
        raise DataError(f"{refused}, with characters that names cannot have. {NOTHING} Rename it.")
    longest = max((len(part.encode()) for part in parts), default=0)
    if len(parts) > _DEEPEST or len(path.encode()) > _LONGEST_PATH or longest > _LONGEST_NAME:
        raise DataError(f"{refused}, too long a name or too deep in folders. {NOTHING} Shorten it.")


def _check_kind(name: str, written: str, member: zipfile.ZipInfo) -> None:
    """Only ordinary files and folders, packed as everybody can read them."""
    mode = stat.S_IFMT(member.external_attr >> 16)
    if mode not in {0, stat.S_IFREG, stat.S_IFDIR}:
        what = "a link, which may lead anywhere" if mode == stat.S_IFLNK else "neither a file nor a folder"
        raise DataError(f"{name} has {shown(written)!r} in it, {what}. {NOTHING} Pack the files themselves.")
    if member.flag_bits & _ENCRYPTED:
        raise DataError(f"{name} is locked with a password. {NOTHING} Pack the folder without one.")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        way = _METHODS.get(member.compress_type, f"method {member.compress_type}")
        raise DataError(f"{name} is packed by {way}. {NOTHING} Pack the folder as an ordinary ZIP (deflate).")


def _check_spelling(name: str, parts: list[str], spelt: dict[str, str]) -> None:
    """No two names may be one on some systems: macOS and Windows take `Cat` for `cat`.

    Args:
        name: the archive's.
        parts: the member's path.
        spelt: for each path in the form that is the same for all spellings, as it was written; gets this one.
    """
    for count in range(1, len(parts) + 1):
        place = "/".join(parts[:count])
        other = spelt.setdefault(unicodedata.normalize("NFC", place).casefold(), place)
        if other != place:
            raise DataError(
                f"{name} has {shown(other)!r} and {shown(place)!r}, which are one name on many systems. {NOTHING} "
                "Rename one."
            )


def too_many(name: str, most: int) -> DataError:
    """The refusal of an archive with too many files and folders."""
    return DataError(f"{name} has more than {most:,} files and folders in it. {NOTHING} Pack fewer.")


def shown(name: str) -> str:
    """A name of somebody else's for a message."""
    name = name if name.isprintable() else ascii(name)[1:-1]
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."
