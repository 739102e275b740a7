"""One script from modules of JavaScript: a page of one file has no addresses that modules could be imported from.

Each module becomes a function of its own that gives what it exports, so that names of one do not meet names of another.
Only the few forms are understood that our own files have; anything else is an error while a page is built.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_IMPORT = re.compile(r'^import \{ ?([^}]*?),? ?\} from "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|async function|function|class) (\w+))", re.MULTILINE)
_COMMENT = re.compile(r"^ *//.*\n", re.MULTILINE)


def bundled(entry: str, folders: Sequence[Path]) -> str:
    """The script that runs a module, and before it each of those that it needs.

    Args:
        entry: name of its file.
        folders: where files are looked for, in this order.

    Raises:
        FileNotFoundError: a file is in none of the folders.
        ValueError: an import or an export has another form, or modules need each other.
    """
    done: dict[str, str] = {}
    _add(entry, folders, done, ())
    return '"use strict";\n' + "".join(done.values())


def _add(name: str, folders: Sequence[Path], done: dict[str, str], waiting: tuple[str, ...]) -> None:
    if name in waiting:
        raise ValueError(f"modules need each other: {', '.join((*waiting, name))}")
    if name in done:
        return
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if path is None:
        raise FileNotFoundError(f"there is no module {name} for the page")
    text = _COMMENT.sub("", path.read_text(encoding="utf-8"))
    head = []
    for names, other in _IMPORT.findall(text):
        _add(other, folders, done, (*waiting, name))
        head.append(f"const {{ {names.replace(' as ', ': ')} }} = {_variable(other)};\n")
    exported = _EXPORT.findall(text)
    body = _EXPORT.sub("", _IMPORT.sub("", text))
    if found := re.search(r"^(?:import|export)\b.*", body, re.MULTILINE):
        raise ValueError(f"{name} has a form of import or export that the page's build does not know: {found[0]!r}")
    done[name] = (
        f"const {_variable(name)} = (() => {{\n{''.join(head)}{body}return {{ {', '.join(exported)} }};\n}})();\n"
    )


def _variable(name: str) -> str:
    return "$" + re.sub(r"\W", "_", name.removesuffix(".js"))
