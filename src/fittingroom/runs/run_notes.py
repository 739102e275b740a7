"""What is kept beside a run: what people write about it, and where an imported one came from and what it claimed.

`notes.json` in its folder has a title, notes and tags. Nothing else in the folder speaks of them, so that a change
touches no hash, no record and no look. A title does not rename the folder: the ledger, links and other people's
commands go by the folder's name, which stays.

The file may come from somebody else, with their run. What is no text that can be shown is left out; a damaged file is
read as an empty one, and the next change writes a new one.

`imported.json` is in the folder of a run of somebody else's. It says what it reached, and anybody can write that. So
its validation scores were computed again from its weights when it was imported; the file keeps what it had claimed, and
the looks that are its author's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from fittingroom.atomic import locked_folder, read_file, write_bytes
from fittingroom.errors import InputError, RunError
from fittingroom.runs.json_files import damage, json_text, number, optional, read_json, share, text, whole

NOTES_NAME = "notes.json"

_LONGEST_TITLE, _LONGEST_NOTES, _LONGEST_TAG, _MOST_TAGS = 80, 4_000, 30, 12  # characters; tags
_LARGEST_FILE = 64 * 2**10  # bytes
_TURNS_ROUND = ("\u202a", "\u202e")  # marks that turn the order of letters round, also of what stands beside them


@dataclass(frozen=True)
class RunNotes:
    """What people wrote about a run.

    Attributes:
        title: what to call it in place of the folder's name; empty for the folder's name.
        notes: lines of text.
        tags: words to find it by, each once, in the order of writing.
    """

    title: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> RunNotes:
        """Those in a run's folder; empty where nobody wrote any, or the file is damaged."""
        if not (path / NOTES_NAME).is_file():
            return cls()
        try:
            with damage(path, NOTES_NAME):
                read_file(path / NOTES_NAME, _LARGEST_FILE)
                stored = read_json(path / NOTES_NAME)
        except RunError:
            return cls()
        tags = stored.get("tags")
        return cls(
            _shown(stored.get("title"), _LONGEST_TITLE),
            _shown(stored.get("notes"), _LONGEST_NOTES, lines=True),
            _unique(_shown(tag, _LONGEST_TAG) for tag in tags[:_MOST_TAGS]) if isinstance(tags, list) else (),
        )

    @classmethod
    def change(
        cls, path: Path, *, title: str | None = None, notes: str | None = None, tags: Iterable[str] | None = None
    ) -> RunNotes:
        """Changes what is given, and leaves the rest; another process's change of something else is kept.

        Args:
            path: the run's folder.
            title: 80 characters at most; an empty one gives the run its folder's name back.
            notes: 4,000 characters at most.
            tags: 12 at most, of 30 characters each.

        Raises:
            InputError: something is too long, or is not text that can be shown.
            StorageError: the folder cannot be written.
        """
        given: dict[str, Any] = {}
        if title is not None:
            given["title"] = _checked("title", title, _LONGEST_TITLE)
        if notes is not None:
            given["notes"] = _checked("note", notes, _LONGEST_NOTES, lines=True)
        if tags is not None:
            given["tags"] = _unique(_checked("tag", tag, _LONGEST_TAG) for tag in tags)
            if len(given["tags"]) > _MOST_TAGS:
                raise InputError(f"{len(given['tags'])} tags: a run has at most {_MOST_TAGS}. Leave some out.")
        with locked_folder(path):
            changed = replace(cls.read(path), **given)
            if changed == cls():
                (path / NOTES_NAME).unlink(missing_ok=True)
            else:
                write_bytes(path / NOTES_NAME, json_text({"format": 1, **asdict(changed)}).encode())
        return changed

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain JSON."""
        return {"title": self.title, "notes": self.notes, "tags": list(self.tags)}


def _is_plain(character: str, *, lines: bool) -> bool:
    if lines and character == "\n":
        return True
    return unicodedata.category(character) not in {"Cc", "Cs"} and not _TURNS_ROUND[0] <= character <= _TURNS_ROUND[1]


def _shown(stored: Any, longest: int, *, lines: bool = False) -> str:
    """A text of somebody else's, as far as it can be shown."""
    text = stored[: 2 * longest] if isinstance(stored, str) else ""
    return "".join(one for one in text if _is_plain(one, lines=lines)).strip()[:longest]


def _checked(what: str, given: str, longest: int, *, lines: bool = False) -> str:
    text = given.replace("\r\n", "\n").strip()
    if any(not _is_plain(one, lines=lines) for one in text):
        raise InputError(f"the {what} {ascii(given)[:60]} has characters that are not text. Leave them out.")
    if len(text) > longest:
        raise InputError(f"the {what} has {len(text):,} characters; at most {longest:,} are kept. Shorten it.")
    return text


def _unique(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, tags)))


ORIGIN_NAME = "imported.json"


@dataclass(frozen=True)
class Origin:
    """Where a run came from.

    Attributes:
        time: when it was imported, ISO 8601, UTC.
        source: the file or folder, by its name.
        run: the name of its folder there.
        weights: hashes of the weights of its seeds.
        claimed: the validation accuracy, 0 to 1, that it came with, the mean over seeds; None where it had none.
        found: what its weights reach on the same images here.
        looks: how many looks at a test set its author took. They are not looks of the ledger here.
        notes: sentences about what differed or was left out.
    """

    time: str
    source: str
    run: str
    weights: tuple[str, ...]
    claimed: float | None
    found: float
    looks: int
    notes: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Origin | None:
        """That of a run; None for one that was trained here, or whose file is damaged."""
        if not (path / ORIGIN_NAME).is_file():
            return None
        try:
            with damage(path, ORIGIN_NAME):
                stored = read_json(path / ORIGIN_NAME)
                return cls(
                    time=text(stored["time"]),
                    source=text(stored["source"]),
                    run=text(stored["run"]),
                    weights=tuple(text(one) for one in stored["weights"]),
                    claimed=optional(share, stored["claimed"]),
                    found=share(number(stored["found"])),
                    looks=whole(stored["looks"]),
                    notes=tuple(text(one) for one in stored["notes"]),
                )
        except RunError:
            return None

    def write(self, path: Path) -> None:
        """Keeps it in a run's folder.

        Raises:
            StorageError: it cannot be written.
        """
        write_bytes(path / ORIGIN_NAME, json_text({"format": 1, **asdict(self)}).encode())

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain JSON, without the hashes."""
        return {name: value for name, value in asdict(self).items() if name != "weights"}
