"""Runs what the pages show, and compares what comes out with what they say.

Usage: python -m docs.examples [PAGE.md ...]

Without pages it takes all of them, and writes anew what their blocks print, where words or figures have changed.

How a fenced block is run depends on its language, all blocks of a page in one folder:

- `console`: a line that begins with `$ ` is a command; below it stands what it prints, or nothing.
- `python`: runs as it stands, consecutive blocks in one process. A `text` block right below it is what it prints.
- `python` or `toml` with a first line such as `# widths.toml`: written into a file of that name.
- `sh`: not run, because it needs minutes, the network or a camera; its commands are only parsed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^```([\w-]+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w.-]+\.(?:py|toml))\n")
_SEPARATOR = "\x1e"

# What differs from run to run and is no figure: folders and dates of runs, times of day, hashes, drawn bars.
_CHANGING = (
    (re.compile(r"[^\s`]*\d{4}-\d\d-\d\d-"), "DATE-"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "TIME"),
    (re.compile(r"[^\s`]*ledger\.sqlite"), "LEDGER"),
    (re.compile(r"\b(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,64}\b"), "HASH"),
    (re.compile(r"[▁▂▃▄▅▆▇█│┃]+"), ""),
    (re.compile(r"\d+\.\d s: set-up .*"), "SECONDS"),
    (re.compile(r"\b\d+\.\d s\b"), "SECONDS"),
)
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Args:
        language: the word behind its fence.
        text: what stands in it.
        start: where that text begins in the page.
    """

    language: str
    text: str
    start: int


@dataclass(frozen=True)
class Output:
    """What a page says that is printed, and what was.

    Args:
        code: the command, or the Python code.
        shown: what the page says.
        printed: what came out.
        start: where `shown` begins in the page.
    """

    code: str
    shown: str
    printed: str
    start: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    return [Block(found[1], found[2], found.start(2)) for found in _FENCE.finditer(page)]


def commands(block: Block) -> list[tuple[str, str, int]]:
    """The commands of a `console` block, each with what is shown below it, and where that begins in the page."""
    parts = re.split(r"^\$ (.*)\n", block.text, flags=re.MULTILINE)
    found, position = [], block.start + len(parts[0])
    for command, shown in zip(parts[1::2], parts[2::2], strict=True):
        position += len(f"$ {command}\n")
        found.append((command, shown, position))
        position += len(shown)
    return found


def words(command: str) -> list[str]:
    """A command line in words; what stands in single quotes is one."""
    return [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)]


def run_page(page: str, folder: Path) -> Iterator[Output]:
    """Runs the blocks of a page in a folder.

    Raises:
        RuntimeError: a command or Python code failed; the message has what it printed.
    """
    found, index = blocks(page), 0
    while index < len(found):
        block = found[index]
        index += 1
        name = _file_name(block)
        if name is not None:
            (folder / name).write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            for command, shown, start in commands(block):
                yield Output(command, shown, _run_command(command, folder), start)
        elif block.language == "python":
            group = [block]
            while index < len(found) and found[index].language in {"python", "text"} and not _file_name(found[index]):
                group.append(found[index])
                index += 1
            yield from _run_python(group, folder)


def _file_name(block: Block) -> str | None:
    """The file that a block is to be written into; None where it is run, or shown alone."""
    found = _FILE.match(block.text) if block.language in {"python", "toml"} else None
    return found[1] if found else None


def _run_command(command: str, folder: Path) -> str:
    program, *arguments = words(command)
    if program != "fittingroom":
        raise RuntimeError(f"a console block has the command {program}; only fittingroom is run here")
    return _run([sys.executable, "-m", "fittingroom", *arguments], folder)


def _run_python(group: Sequence[Block], folder: Path) -> Iterator[Output]:
    code = [block for block in group if block.language == "python"]
    script = "".join(f"{block.text}\nprint({_SEPARATOR!r}, end='', flush=True)\n" for block in code)
    printed = iter(_run([sys.executable, "-W", "error::UserWarning", "-c", script], folder).split(_SEPARATOR))
    for block, following in zip(group, [*group[1:], None], strict=True):
        if block.language == "python":
            says = next(printed)
            if following is not None and following.language == "text":
                yield Output(block.text, following.text, says, following.start)


def _run(arguments: Sequence[str], folder: Path) -> str:
    environment = {**os.environ, "FITTINGROOM_LEDGER": str(folder / "ledger.sqlite"), "COLUMNS": "80"}
    environment.pop("FITTINGROOM_RUNS_DIR", None)  # so that runs go where a reader has them: ./runs
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments[1:])[:500]}\n{done.stdout}\n{done.stderr}")
    return done.stdout.replace(f"{folder.resolve()}/", "").replace(f"{folder}/", "")  # as a reader's are: runs/...


def difference(shown: str, printed: str) -> str:
    """Where two texts differ in their words, or by more in a figure than processors do; empty if nowhere.

    Figures are those of a short training: on another processor sums are rounded otherwise, and after some hundred steps
    the last images on the edge between two classes fall to the other side.
    """
    one, other = _plain(shown), _plain(printed)
    if _NUMBER.sub("N", one) != _NUMBER.sub("N", other):
        return f"the page has\n{shown}\nand this was printed:\n{printed}"
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    far = [f"{left} and {right}" for left, right in pairs if not _close(left, right)]
    return f"figures of the page and printed ones: {', '.join(far)}" if far else ""


def _plain(text: str) -> str:
    for pattern, word in _CHANGING:
        text = pattern.sub(word, text)
    return " ".join(text.split())


def _close(left: str, right: str) -> bool:
    """Whole numbers to 10%, those below 10 exactly; 2.5 points for one decimal, which percentages have; else 0.05."""
    one, other = (float(text.replace(",", "")) for text in (left, right))
    decimals = len(left.partition(".")[2])
    if decimals == 0:
        return abs(one - other) <= (0.1 * max(one, other) if max(one, other) >= 10 else 0)
    return abs(one - other) <= 0.1 * max(one, other) + (2.5 if decimals == 1 else 0.05)


def pages() -> list[Path]:
    """All pages with blocks that are run."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in paths if any(block.language in {"console", "python"} for block in _blocks_of(path))]


def _blocks_of(path: Path) -> list[Block]:
    return blocks(path.read_text(encoding="utf-8"))


def main() -> None:
    """Writes what blocks print into their pages."""
    for path in [Path(name).resolve() for name in sys.argv[1:]] or pages():
        page = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder:
            outputs = [one for one in run_page(page, Path(folder)) if one.shown.strip()]
        for one in reversed(outputs):
            if difference(one.shown, one.printed):
                tail = "\n" if one.shown.endswith("\n\n") else ""
                text = "\n".join(line.rstrip() for line in one.printed.strip("\n").splitlines()) + "\n" + tail
                page = page[: one.start] + text + page[one.start + len(one.shown) :]
                print(f"{path.relative_to(ROOT)}: {one.code.strip().splitlines()[-1]}")
        path.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
