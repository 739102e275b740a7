"""Puts the stored measurements into the README and docs/speed.md. Every `make` target that measures ends with it.

Usage: python -m benchmarks.readme
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.accuracy import mean_and_spread
from benchmarks.bars import Bar, bars_table
from benchmarks.pairs import RESULTS, Spread, markdown_table, place
from benchmarks.sides import PEERS
from fittingroom.recipes.named import read_claims

README = Path(__file__).parents[1] / "README.md"
SPEED_PAGE = README.parent / "docs" / "speed.md"
SPEEDS = (
    "whole-process", "whole-answers", "epochs", "seeds", "short-calls", "memory", "cnn", "best-cpu", "photo", "serving",
    "exercise2", "products",
)  # fmt: skip
CAPTION = (
    "Medians of rounds in which the sides took turns (lowest–highest); ratios within a round; caches warm, unless said."
    " Exercise 2 had one round."
)


# The README shows six of these, the first that are measured: work, against whom, and its words for the work. Where we
# are no faster is among them.
_README_COUNT = 6
README_ROWS = (
    ("five epochs and the test score, one script", "Keras on TensorFlow", "five epochs and the test score"),
    ("five epochs and the test score, two commands, nothing cached", "Keras on JAX", "the same, the very first time"),
    ("one epoch of `course`, one seed", "PyTorch", "one epoch of `course`"),
    ("training `cnn`", "PyTorch", "training `cnn`"),
    ("ten calls of one epoch each", "Keras on JAX", "ten short calls of `fit`"),
    ("requests a second, 32 at once", "FastAPI, onnxruntime", "requests a second"),
    ("training `cnn`", "Keras on TensorFlow", "training `cnn`"),
    ("peak memory of that, two commands", "Keras on JAX", "peak memory of five epochs"),
)


def stored(name: str) -> list[dict[str, Any]]:
    """What a benchmark has measured, against each other side in turn; nothing where it has not been run."""
    files = [RESULTS / f"{name}.json", *(RESULTS / f"{name}-{peer}.json" for peer in (*PEERS, "pytorch-bfloat16"))]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.exists()]


def speed_table(results: Sequence[Mapping[str, Any]]) -> str:
    """All comparisons, and where they were measured; nothing if there are none."""
    if not results:
        return ""
    places = "; ".join(dict.fromkeys(place(result["machine"]) for result in results))
    bars = [Bar(**fields) for result in results for fields in result["bars"]]
    return f"{bars_table(bars)}\n{CAPTION} {places}.\n"


def readme_table(results: Sequence[Mapping[str, Any]]) -> str:
    """The six comparisons of the README, medians alone."""
    bars = {(fields["work"], fields["against"]): Bar(**fields) for result in results for fields in result["bars"]}
    rows = [("work", "Fitting Room", "compared with", "ratio")]
    measured = [(bars[work, against], shown) for work, against, shown in README_ROWS if (work, against) in bars]
    for bar, shown in measured[:_README_COUNT]:
        ours, theirs = (f"{Spread.of(side).median:,.{bar.digits}f}{bar.unit}" for side in (bar.ours, bar.theirs))
        rows.append((shown, ours, f"{bar.against}: {theirs}", f"{bar.ratios().median:.2f}× {bar.reading}"))
    return markdown_table(rows)


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


def filled(path: Path) -> str:
    """The README, or the page of speed, with what its markers enclose made again."""
    speeds = [result for name in SPEEDS for result in stored(name)]
    if path == README:
        contents = {"speed": readme_table(speeds)}
    else:
        contents = {
            "speed": speed_table(speeds),
            "accuracy": accuracy_table(stored("accuracy")),
            "claims": claims_table(),
        }
    page = path.read_text(encoding="utf-8")
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
    """Writes both pages, and prints the table of speeds."""
    for path in (README, SPEED_PAGE):
        path.write_text(filled(path), encoding="utf-8")
    print(speed_table([result for name in SPEEDS for result in stored(name)]))


if __name__ == "__main__":
    main()
