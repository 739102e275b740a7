"""What a check gives: a verdict, the evidence for it, and what to do. Page, terminal, JSON and studio show it alike."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from fittingroom.answers.predictor import Predictor
    from fittingroom.data.dataset import Dataset
    from fittingroom.recipes.recipe import Recipe
    from fittingroom.runs.outcomes import KeptOutcomes

Verdict = Literal["clear", "found", "unsure", "not examined"]
"""`clear`: nothing was found that its statistics carry; `found`: something was; `unsure`: too few images to tell."""

PartName = Literal["train", "validation", "test"]

_SIDE, _NEIGHBOUR, _SMALL = 112, 80, 64  # pixels: of kept pictures, and of one whose every pixel is kept
_MOST_COLUMNS = 40
_REVIEWED_SIDE = 224  # of a picture whose label a person decides about


class AuditProgress(Protocol):
    """Told how far a check is."""

    def __call__(self, what: str, done: int = 0, total: int = 0) -> None:
        """`what` is being done; `done` of `total` steps of it are finished, where that is known."""


@dataclass(frozen=True, eq=False)
class AuditSubject:
    """What is audited: a dataset, and perhaps a run on it.

    Args:
        dataset: its test part sealed.
        recipe: the run's; without a run the one that checks of the data train.
        predictor: what answers with the run's seeds together; None without a run.
        kept: for each seed what its kept weights say of the validation images; empty without a run or validation.
        path: the run's folder; None without a run.
        progress: told how far a check is.
    """

    dataset: Dataset
    recipe: Recipe
    predictor: Predictor | None
    kept: tuple[KeptOutcomes, ...]
    path: Path | None
    progress: AuditProgress


@dataclass(frozen=True)
class Finding:
    """An image that somebody should look at; what `--export` writes, a row each.

    Args:
        part: the part that it is in.
        index: its position in that part, from 0.
        why: what was found, in a few words.
        label: the name of its class as given; None where labels were not read.
        suggested: the class that it may belong to; None where nothing is suggested.
        probability: that the label is wrong, calibrated, 0 to 1; None where that was not asked.
        other: part and index of the image that it duplicates; None for other findings.
    """

    part: PartName
    index: int
    why: str
    label: str | None = None
    suggested: str | None = None
    probability: float | None = None
    other: tuple[PartName, int] | None = None


@dataclass(frozen=True, eq=False)
class ShownImage:
    """An image of a gallery.

    Args:
        pixels: uint8, `(height, width)` or `(height, width, 3)`, 0 to 255.
        caption: under it; short.
    """

    pixels: npt.NDArray[np.uint8]
    caption: str = ""

    def to_dict(self, side: int = _SIDE) -> dict[str, Any]:
        """The caption, and as `url` a picture of at most `side` pixels: a PNG, or a JPEG of a larger one."""
        from PIL import Image

        picture = Image.fromarray(self.pixels)
        kind = "jpeg" if max(picture.size) > _SMALL else "png"
        picture.thumbnail((side, side))
        file = io.BytesIO()
        picture.save(file, kind, **({"quality": 82} if kind == "jpeg" else {}))
        content = base64.b64encode(file.getvalue()).decode()
        return {"caption": self.caption, "url": f"data:image/{kind};base64,{content}"}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> ShownImage:
        """The image that `to_dict` gave; raises whatever a damaged one makes it raise."""
        from PIL import Image

        kind, _, content = stored["url"].removeprefix("data:image/").partition(";base64,")
        if kind not in {"png", "jpeg"}:
            raise ValueError(f"expected a picture in the file, got {stored['url'][:60]!r}")
        with Image.open(io.BytesIO(base64.b64decode(content, validate=True)), formats=[kind]) as picture:
            if max(picture.size) > _REVIEWED_SIDE or picture.mode not in {"L", "RGB"}:
                raise ValueError(f"expected a small picture, grey or in colour, got {picture.size}, {picture.mode}")
            return cls(np.asarray(picture), str(stored["caption"]))


@dataclass(frozen=True, eq=False)
class Gallery:
    """Images in rows of `columns`, or as they fit the page where that is 0."""

    title: str
    images: tuple[ShownImage, ...]
    columns: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.columns <= _MOST_COLUMNS:
            raise ValueError(f"columns={self.columns}; expected 0 to {_MOST_COLUMNS}")

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types, the pictures as `ShownImage` gives them."""
        images = [image.to_dict() for image in self.images]
        return {"kind": "gallery", "title": self.title, "columns": self.columns, "images": images}


@dataclass(frozen=True)
class EvidenceTable:
    """A table of texts; the first `left` columns are flush left, the others are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: int = 1

    def __post_init__(self) -> None:
        if not self.header or any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"the table {self.title!r} has rows of other lengths than its {len(self.header)} columns")

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return {"kind": "table", **asdict(self)}


@dataclass(frozen=True)
class EvidenceLine:
    """A line of a plot; `low` and `high` are the interval around `y`, empty where there is none."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.x) == len(self.y) or {len(self.low), len(self.high)} - {0, len(self.x)}:
            raise ValueError(f"the line {self.name!r} has {len(self.x)} places, and another number of values or ends")


@dataclass(frozen=True)
class EvidencePlot:
    """Lines over one axis."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[EvidenceLine, ...]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return {"kind": "plot", **asdict(self)}


@dataclass(frozen=True, eq=False)
class ReviewItem:
    """An image whose label a person should confirm or correct.

    Args:
        finding: part, index, given and suggested label, probability.
        pixels: of the image, as `ShownImage` has them.
        said: classes and their probabilities by models that did not learn from this image, the most probable first.
        neighbours: the images of the training part that are most like it, with their labels as captions.
        file: the name of its file; empty where images have none.
        place: the position by which the plan of the review knows it; None where there is no plan.
    """

    finding: Finding
    pixels: npt.NDArray[np.uint8]
    said: tuple[tuple[str, float], ...] = ()
    neighbours: tuple[ShownImage, ...] = ()
    file: str = ""
    place: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types, the pictures as `ShownImage` gives them."""
        return {
            **asdict(self.finding),
            "url": ShownImage(self.pixels).to_dict(_REVIEWED_SIDE)["url"],
            "said": [list(one) for one in self.said],
            "neighbours": [image.to_dict(_NEIGHBOUR) for image in self.neighbours],
            "file": self.file,
            "place": self.place,
        }


@dataclass(frozen=True, eq=False)
class Review:
    """Images to be reviewed one by one: the page and the studio take decisions about them.

    Args:
        title: above them.
        items: in the order in which they are to be reviewed.
        classes: the names of all classes, from which a correct label is chosen.
        plan: which decisions an interval for the rate of errors rests on, as JSON types; None for no interval.
    """

    title: str
    items: tuple[ReviewItem, ...]
    classes: tuple[str, ...]
    plan: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types."""
        return {
            "kind": "review",
            "title": self.title,
            "items": [item.to_dict() for item in self.items],
            "classes": list(self.classes),
            "plan": None if self.plan is None else dict(self.plan),
        }


Evidence = Gallery | EvidenceTable | EvidencePlot | Review


@dataclass(frozen=True, eq=False)
class CheckResult:
    """What one check found.

    Args:
        check: its name, as `--only` takes it.
        title: as a heading.
        verdict: what its statistics carry.
        sentences: the verdict in words; the first stands alone in lists.
        advice: what to do, a sentence each.
        facts: all numbers, as JSON types.
        evidence: what is shown beneath the sentences, in this order.
        findings: images to be looked at.
        seconds: how long it took.
    """

    check: str
    title: str
    verdict: Verdict
    sentences: tuple[str, ...]
    advice: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Finding, ...] = ()
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON types, the pictures too."""
        return {
            "check": self.check,
            "title": self.title,
            "verdict": self.verdict,
            "sentences": list(self.sentences),
            "advice": list(self.advice),
            "facts": dict(self.facts),
            "evidence": [one.to_dict() for one in self.evidence],
            "findings": [asdict(one) for one in self.findings],
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> CheckResult:
        """The result that `to_dict` gave, also after a way through JSON; raises whatever a damaged one makes it raise.

        Pictures are as large as they were stored.
        """
        if stored["verdict"] not in get_args(Verdict):
            raise ValueError(f"the verdict {stored['verdict']!r} is not known")
        return cls(
            check=str(stored["check"]),
            title=str(stored["title"]),
            verdict=stored["verdict"],
            sentences=_texts(stored["sentences"]),
            advice=_texts(stored["advice"]),
            facts=dict(stored["facts"]),
            evidence=tuple(map(_evidence, stored["evidence"])),
            findings=tuple(map(_finding, stored["findings"])),
            seconds=float(stored["seconds"]),
        )


def _texts(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(str, values))


def _numbers(values: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float("nan") if value is None else float(value) for value in values)


def _finding(stored: Mapping[str, Any]) -> Finding:
    other = stored["other"]
    own = {one.name: stored[one.name] for one in fields(Finding)}
    return Finding(**{**own, "other": None if other is None else (other[0], int(other[1]))})


def _review_item(stored: Mapping[str, Any]) -> ReviewItem:
    pixels = ShownImage.from_dict({"url": stored["url"], "caption": ""}).pixels
    said = tuple((str(name), float(share)) for name, share in stored["said"])
    neighbours = tuple(map(ShownImage.from_dict, stored["neighbours"]))
    return ReviewItem(_finding(stored), pixels, said, neighbours, str(stored["file"]), stored["place"])


def _evidence(stored: Mapping[str, Any]) -> Evidence:
    kind, title = stored["kind"], str(stored["title"])
    if kind == "gallery":
        return Gallery(title, tuple(map(ShownImage.from_dict, stored["images"])), int(stored["columns"]))
    if kind == "table":
        return EvidenceTable(title, _texts(stored["header"]), tuple(map(_texts, stored["rows"])), int(stored["left"]))
    if kind == "review":
        return Review(title, tuple(map(_review_item, stored["items"])), _texts(stored["classes"]), stored["plan"])
    lines = tuple(
        EvidenceLine(str(line["name"]), *(_numbers(line[name]) for name in ("x", "y", "low", "high")))
        for line in stored["lines"]
    )
    return EvidencePlot(title, str(stored["x_label"]), str(stored["y_label"]), lines)
