"""Puts the stored measurements into the README, between its markers. Every `make` target that measures ends with it.

Usage: python -m benchmarks.readme
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy import mean_and_spread
from benchmarks.bars import Bar, bars_table
from benchmarks.pairs import RESULTS, markdown_table, place
from benchmarks.sides import PEERS
from fittingroom.recipes.named import read_claims

README = Path(__file__).parents[1] / "README.md"
SPEEDS = ("whole-process", "epochs", "short-calls", "cnn", "exercise2", "products")
CAPTION = (
    "Medians of rounds in which the sides took turns (lowest–highest); ratios within a round; caches warm, unless said."
    " Exercise 2 had one round."
)


def stored(name: str) -> list[dict[str, Any]]:
    """What a benchmark has measured, against each other side in turn; nothing where it has not been run."""
    files = [RESULTS / f"{name}.json", *(RESULTS / f"{name}-{peer}.json" for peer in PEERS)]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def speed_table(results: Sequence[Mapping[str, Any]]) -> str:
    """All comparisons, and where they were measured; nothing if there are none."""
    if not results:
        return ""
    places = "; ".join(dict.fromkeys(place(result["machine"]) for result in results))
    bars = [Bar(**fields) for result in results for fields in result["bars"]]
    return f"{bars_table(bars)}\n{CAPTION} {places}.\n"


def accuracy_table(results: Sequence[Mapping[str, Any]]) -> str:
    """The accuracies of both sides, and where they were measured; nothing if there are none."""
    if not results:
        return ""
    rows = [("trained by", "test accuracy, mean ± standard deviation", "seeds")]
    for result in results:
        rows += [(side, mean_and_spread(each), str(len(each))) for side, each in result["test_accuracy"].items()]
    places = "; ".join(dict.fromkeys(place(result["machine"]) for result in results))
    return f"{markdown_table(rows)}\nFive epochs on all 60,000 training images. {places}.\n"


def claims_table() -> str:
    """One line per measured recipe."""
    lines = ["| recipe | test accuracy | seconds to train | hardware, versions |", "|---|---|---|---|"]
    for name, claim in read_claims().items():
        versions = ", ".join(f"{package} {version}" for package, version in claim.versions.items())
        accuracy = claim.reached
        lines.append(f"| `{name}` | {accuracy} | {claim.seconds:.1f} | {claim.hardware}; {versions} |")
    return "\n".join([*lines, ""])


def filled(page: str) -> str:
    """The page with the text between its markers made anew."""
    speeds = [result for name in SPEEDS for result in stored(name)]
    contents = {"speed": speed_table(speeds), "accuracy": accuracy_table(stored("accuracy")), "claims": claims_table()}
    for name, content in contents.items():
        page = between_markers(page, name, f"\n{content}\n")
    return page


def between_markers(page: str, name: str, content: str) -> str:
    """The page with the text between the markers of this name replaced.

    Raises:
        ValueError: the page does not have both markers.
    """
    before, opening, rest = page.partition(f"<!-- {name} -->\n")
    _, closing, after = rest.partition(f"<!-- /{name} -->")
    if not closing:
        raise ValueError(f"the page has no markers <!-- {name} --> and <!-- /{name} -->")
    return before + opening + content + closing + after


def main() -> None:
    """Writes the page."""
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
