"""Links of pages that are read on GitHub lead to files and headings that exist. (Sphinx checks the site's own.)"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from fittingroom.recipes.named import find_recipe
from tests.contracts.source import ROOT


def pages() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [ROOT / name for name in listed.split("\n") if name and (ROOT / name).exists()]


def anchors(path: Path) -> set[str]:
    """The headings of a page, as GitHub names them in a link."""
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.*)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_links_lead_somewhere() -> None:
    broken = []
    for page in pages():
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for target in re.findall(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_benchmarks_targets_and_files_that_pages_name_exist() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    missing = []
    for page in pages():
        if page.name == "CHANGELOG.md":
            continue  # it speaks of what was
        text = page.read_text(encoding="utf-8")
        missing += [
            f"{page.relative_to(ROOT)}: {name}"
            for name in re.findall(r"python -m benchmarks\.(\w+)", text)
            if not (ROOT / "benchmarks" / f"{name}.py").exists()
        ]
        missing += [
            f"{page.relative_to(ROOT)}: make {name}"
            for name in re.findall(r"(?:`|^)make ([a-z-]+)[ `\n]", text, flags=re.MULTILINE)
            if name not in targets
        ]
        missing += [
            f"{page.relative_to(ROOT)}: {name}"
            for name in re.findall(r"`([\w/]+/\w+(?<!_test)\.(?:py|html|toml))`", text)  # `_test.py` are Keras's
            if not any(one == name or one.endswith(f"/{name}") for one in listed)
        ]
    assert missing == []


def test_recipes_that_commands_name_are_there() -> None:
    """Also in examples that no test runs, such as those for several hosts."""
    named = {
        name
        for page in pages()
        for name in re.findall(r"fittingroom .*--recipe ([\w:.-]*\w)", page.read_text(encoding="utf-8"))
        if not name.endswith(".toml") and not name.isupper()
    }
    assert len(named) > 5
    assert all(find_recipe(name).name == name for name in named)
