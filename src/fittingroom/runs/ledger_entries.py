"""What the ledger says: its entries, the looks that they record, and which looks are at one test set.

A test set is known by its source content (`data.arrays.source_fingerprint`). A look also keeps the fingerprint of the
images as the model saw them, by which alone looks of version 1 of the ledger know theirs. Looks that share either are
at one test set, directly or through others. Pictures of a folder have another such fingerprint at each size, and so an
old look at a folder counts also where the folder and the number of test images are the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

from fittingroom.errors import StorageError
from fittingroom.runs.json_files import plain

Kind = Literal["look", "score", "inspection"]


@dataclass(frozen=True)
class Intent:
    """What is known of a look before it is taken.

    Args:
        dataset: the name under which the data were loaded.
        images: the number of test images.
        reason: why the test set is opened.
        run: the run folder, absolute; None for an opening from Python without a run, as are then the next four.
        recipe: the recipe's name.
        recipe_digest: of the recipe's settings without the name, as `digest_of` gives it.
        seed: the run's seed.
        weights: SHA-256 of the run's weights, as `runs.weights` computes it; None in looks of version 1.
        fingerprint: of the test images as the model saw them; None in looks of version 1, whose test set it is.
        together: an id that seeds of one recipe share which are scored in one look, such as those that an experiment
            chose; None for a look by itself.
    """

    dataset: str
    images: int
    reason: str
    run: str | None = None
    recipe: str | None = None
    recipe_digest: str | None = None
    seed: int | None = None
    weights: str | None = None
    fingerprint: str | None = None
    together: str | None = None

    @staticmethod
    def digest_of(recipe: Any) -> str:
        """SHA-256 of a recipe's settings without its name, in hexadecimal."""
        return hashlib.sha256(
            _canonical({name: recipe[name] for name in recipe if name != "name"}).encode()
        ).hexdigest()


class LedgerEntry(NamedTuple):
    """A row of the ledger.

    Args:
        number: 1, 2, 3, ... without a gap.
        kind: `look`, `score` or `inspection`.
        test_set: what the test set is known by.
        look: for a score the number of the entry of its look; None for a look and an inspection.
        content: the rest, as canonical JSON.
        hash: SHA-256 in hexadecimal, of all of this and of the hash of the entry before.
    """

    number: int
    kind: Kind
    test_set: str
    look: int | None
    content: str
    hash: str

    @classmethod
    def after(
        cls, previous: str, number: int, kind: Kind, test_set: str, look: int | None, content: Mapping[str, Any]
    ) -> LedgerEntry:
        """The entry that follows another.

        Args:
            previous: the hash of the entry before; for the first entry the ledger's id.
            number: its number.
            kind: `look`, `score` or `inspection`.
            test_set: what the test set is known by.
            look: for a score the number of the entry of its look.
            content: the rest, as JSON can write it.
        """
        unhashed = cls(number, kind, test_set, look, _canonical(content), "")
        return unhashed._replace(hash=unhashed._hash_after(previous))

    def belongs_after(self, previous: str) -> bool:
        """Whether its hash is that of its content and of the hash before, and its content one that we write."""
        try:
            content = json.loads(self.content)
            is_ours = isinstance(content, dict) and isinstance(content.get("run"), str | None)
            return is_ours and _canonical(content) == self.content and self.hash == self._hash_after(previous)
        except (RecursionError, TypeError, ValueError):  # not JSON, or a number or bytes in place of a text
            return False

    def _hash_after(self, previous: str) -> str:
        return hashlib.sha256(_canonical([previous, *self[:-1]]).encode()).hexdigest()


@dataclass(frozen=True)
class LedgerLook:
    """A look at a sealed test set, as the ledger recorded it.

    Args:
        look: which look at this test set it is, counted from 1. A repetition has the number of the look it repeats.
        test_set: what the test set is known by: the same for all looks at it.
        time: ISO 8601, UTC.
        intent: what was known before it was taken.
        hash: the hash of its entry.
        score: `correct`, `count`, `loss` (nats) and, since version 2, `digest`; None if the computation was cut off, or
            for an opening from Python.
        repeats: whether the same weights of the same recipe and seed had looked at the same images before, which tells
            nothing new.
        joins: whether it is a further seed of the look whose number it has.
        known_as: all that the test set is known by, its fingerprints at several sizes among them.
    """

    look: int
    test_set: str
    time: str
    intent: Intent
    hash: str
    score: dict[str, Any] | None
    repeats: bool = False
    joins: bool = False
    known_as: frozenset[str] = frozenset()

    @property
    def is_new(self) -> bool:
        """Whether it told something new: it repeats no look, and is not a further seed of one."""
        return not (self.repeats or self.joins)

    @staticmethod
    def summary_of(score: Mapping[str, Any]) -> dict[str, Any]:
        """What the ledger keeps of a score: `correct`, `count`, `loss` (nats; None if it is not finite) and `digest`.

        Args:
            score: what a run's record keeps of it.
        """
        whole = plain(score)
        digest = hashlib.sha256(_canonical(whole).encode()).hexdigest()
        return {**{name: whole.get(name) for name in ("correct", "count", "loss")}, "digest": digest}

    @staticmethod
    def all_of(entries: Sequence[LedgerEntry], path: Path) -> list[LedgerLook]:
        """The looks among some entries, in their order, numbered for each test set.

        Raises:
            StorageError: one of them cannot be read; the message names the ledger's `path`.
        """
        scores = {entry.look: _content(entry, path) for entry in entries if entry.kind == "score"}
        read = [(entry, *_intent(entry, path)) for entry in entries if entry.kind == "look"]
        sets = _test_sets([(entry.test_set, intent) for entry, _, intent in read])
        counts: dict[str, int] = {}
        known: dict[tuple[Any, ...], int] = {}
        groups: dict[tuple[str, str | None], tuple[int, set[int | None]]] = {}
        looks = []
        for entry, time, intent in read:
            test_set, known_as = sets[entry.test_set]
            same = (test_set, intent.fingerprint, intent.weights, intent.recipe_digest, intent.seed)
            number = known.get(same) if intent.weights is not None else None
            repeats = number is not None
            of_group, seeds = groups.get((test_set, intent.together), (None, set()))
            joins = not repeats and intent.seed not in seeds
            if of_group is not None and joins:
                number = known[same] = of_group
            else:
                joins = False
            if number is None:
                number = known[same] = counts[test_set] = counts.get(test_set, 0) + 1
            if intent.together is not None and not repeats:
                groups[test_set, intent.together] = number, {*(seeds if joins else ()), intent.seed}
            score = scores.get(entry.number)
            looks.append(LedgerLook(number, test_set, time, intent, entry.hash, score, repeats, joins, known_as))
        return looks


@dataclass(frozen=True)
class LedgerInspection:
    """A comparison of the images of a sealed test set with other images, without its labels. It is not a look.

    Args:
        test_set: what the test set is known by, the same as for looks at it.
        time: ISO 8601, UTC.
        intent: what was known before the images were handed out.
        hash: the hash of its entry.
        known_as: all that the test set is known by.
    """

    test_set: str
    time: str
    intent: Intent
    hash: str
    known_as: frozenset[str]

    @classmethod
    def all_of(cls, entries: Sequence[LedgerEntry], path: Path) -> list[LedgerInspection]:
        """The inspections among entries, the oldest first.

        Raises:
            StorageError: one of them cannot be read; the message names the ledger's `path`.
        """
        read = [(entry, *_intent(entry, path)) for entry in entries if entry.kind != "score"]
        sets = _test_sets([(entry.test_set, intent) for entry, _, intent in read])
        found = [(entry, time, intent) for entry, time, intent in read if entry.kind == "inspection"]
        return [
            cls(sets[entry.test_set][0], time, intent, entry.hash, sets[entry.test_set][1])
            for entry, time, intent in found
        ]


def _test_sets(looks: Sequence[tuple[str, Intent]]) -> dict[str, tuple[str, frozenset[str]]]:
    """For every name that a test set is known by: its oldest name, and all of its names."""
    parent: dict[str, str] = {}  # a forest of names; those with one root are one test set

    def root(name: str) -> str:
        parent.setdefault(name, name)
        while parent[name] != name:
            name = parent[name]
        return name

    old_folders = {_folder(intent): test_set for test_set, intent in looks if intent.fingerprint is None}
    for test_set, intent in looks:
        first = root(test_set)
        for other in (intent.fingerprint, old_folders.get(_folder(intent)) if _folder(intent) else None):
            if other is not None and root(other) != first:
                parent[root(other)] = first
    groups: dict[str, list[str]] = {}
    for name in parent:  # in the order of the looks
        groups.setdefault(root(name), []).append(name)
    return {name: (members[0], frozenset(members)) for members in groups.values() for name in members}


def _folder(intent: Intent) -> tuple[str, int] | None:
    """A folder of pictures and how many of them are tested on; None for other data."""
    return (intent.dataset, intent.images) if intent.dataset.startswith("folder:") else None


def _intent(entry: LedgerEntry, path: Path) -> tuple[str, Intent]:
    """When a look was taken, and what was known before it."""
    content = _content(entry, path)
    try:
        known = {field.name: content[field.name] for field in fields(Intent) if field.name in content}
        intent = Intent(**known)
        if not (isinstance(intent.dataset, str) and isinstance(intent.images, int)):
            raise TypeError("it names no dataset")
        return str(content["time"]), intent
    except (KeyError, TypeError) as error:
        raise _unreadable(entry, path) from error


def _content(entry: LedgerEntry, path: Path) -> dict[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(entry.content)
        return dict(content)
    except (RecursionError, TypeError, ValueError) as error:
        raise _unreadable(entry, path) from error


def _unreadable(entry: LedgerEntry, path: Path) -> StorageError:
    return StorageError(
        f"entry {entry.number} of the ledger {path} was changed and cannot be read. `fittingroom ledger --verify` says "
        "more. Restore the file from a backup, or move it away to begin a new ledger."
    )


def _canonical(value: Any) -> str:
    """The one way to write a value as JSON: sorted keys, no spaces, ASCII only."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
