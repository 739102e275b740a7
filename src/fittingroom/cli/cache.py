"""`fittingroom cache`: what the cache holds, and deleting it."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict

from fittingroom.api.user_cache import KINDS, CacheKind, UserCache
from fittingroom.cli.command import CommandOutput, CommandParser, table
from fittingroom.text import NOTHING, amount, file_size, word_list

_ALL = "all"
_MOST = 5  # entries of a kind that are listed; --json has all
_LISTED = ("datasets", "features", "weights")


def configure(parser: CommandParser) -> None:
    """Declares the arguments, and what to run with them."""
    parser.add_argument(
        "--clear",
        metavar="KIND",
        nargs="?",
        const=_ALL,
        help=f"delete what the cache holds, or one kind: {', '.join(KINDS)}",
    )
    parser.set_defaults(execute=_run)


def _run(arguments: argparse.Namespace) -> CommandOutput:
    cache = UserCache.of_user()
    return _list(cache) if arguments.clear is None else _clear(cache, arguments.clear)


def _list(cache: UserCache) -> CommandOutput:
    kinds = cache.kinds()
    total = sum(kind.bytes for kind in kinds)
    facts = {"cache": str(cache.folder), "bytes": total, "kinds": {kind.name: _facts(kind) for kind in kinds}}
    if not any(kind.entries for kind in kinds):
        return CommandOutput(facts, f"The cache is empty: {cache.folder}")
    rows = [(kind.name, kind.about, file_size(kind.bytes), _day(kind)) for kind in kinds]
    lines = [table(("kind", "what it is", "size", "last used"), [*rows, (_ALL, "", file_size(total), "")], left=2)]
    lines += [_entries(kind) for kind in kinds if kind.name in _LISTED and kind.entries]
    lines.append(
        f"Cache: {cache.folder}\nEverything in it is made or downloaded again when it is needed. "
        "`fittingroom cache --clear` deletes it,\n`fittingroom cache --clear features` only one kind."
    )
    return CommandOutput(facts, "\n\n".join(lines))


def _clear(cache: UserCache, kind: str) -> CommandOutput:
    cleared = cache.clear(None if kind == _ALL else kind)
    facts = {"cache": str(cache.folder), "cleared": kind, "bytes": cleared.bytes, "left": list(map(str, cleared.left))}
    what = "the cache" if kind == _ALL else f"{kind} of the cache"
    text = f"Deleted {what}, {file_size(cleared.bytes)}: {cache.folder}"
    if cleared.left:
        named = word_list(map(str, cleared.left), most=3)
        text += f"\n{amount(len(cleared.left), 'file')} could not be deleted, in use or of another user: {named}"
    return CommandOutput(facts, text, status=1 if cleared.left else 0)


def _facts(kind: CacheKind) -> dict[str, object]:
    entries = [{**asdict(entry), "path": str(entry.path), "used": _time(entry.used)} for entry in kind.entries]
    return {"about": kind.about, "bytes": kind.bytes, "entries": entries}


def _entries(kind: CacheKind) -> str:
    shown = kind.entries[:_MOST]
    rows = [(entry.what, file_size(entry.bytes), _time(entry.used)[:10]) for entry in shown]
    more = len(kind.entries) - len(shown)
    return table((kind.name, "size", "last used"), [*rows, *([(f"{more:,} more", "", "")] if more else [])])


def _day(kind: CacheKind) -> str:
    return _time(max(entry.used for entry in kind.entries))[:10] if kind.entries else NOTHING


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
