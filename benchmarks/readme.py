"""Puts the stored measurements into the README, between its markers. `make bench` and `make claims` end with it.

Usage: python -m benchmarks.readme
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.pairs import RESULTS
from fittingroom.recipes.named import read_claims

README = Path(__file__).parents[1] / "README.md"
SPEEDS = ("whole-process", "epochs")
PEERS = ("keras-jax", "keras-tensorflow")


def tables(comparisons: tuple[str, ...]) -> str:
    """The tables that the benchmarks wrote, as they are."""
    files = [RESULTS / f"{comparison}-{peer}.md" for comparison in comparisons for peer in PEERS]
    return "\n".join(file.read_text(encoding="utf-8") for file in files if file.exists())


def claims_table() -> str:
    """One line per measured recipe."""
    lines = ["| recipe | test accuracy | seconds to train | hardware, versions |", "|---|---|---|---|"]
    for name, claim in read_claims().items():
        versions = ", ".join(f"{package} {version}" for package, version in claim.versions.items())
        accuracy = f"{100 * claim.mean:.2f}% ± {100 * claim.spread:.2f} ({len(claim.test_accuracies)} seeds)"
        lines.append(f"| `{name}` | {accuracy} | {claim.seconds:.1f} | {claim.hardware}; {versions} |")
    return "\n".join([*lines, ""])


def filled(page: str) -> str:
    """The page with the text between its markers made anew."""
    for name, content in (("speed", tables(SPEEDS)), ("accuracy", tables(("accuracy",))), ("claims", claims_table())):
        page = between_markers(page, name, f"\n{content}\n")
    return page


def between_markers(page: str, name: str, content: str) -> str:
    """The page with the text between the markers of this name replaced."""
    before, opening, rest = page.partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    return before + opening + content + closing + after


def main() -> None:
    """Writes the page."""
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
