"""The model card of a run: Hugging Face's front matter and sections, every number with the command that prints it.

Sections and their order are those of Hugging Face's template, which follows Mitchell et al., Model Cards for Model
Reporting (FAT* 2019, arXiv 1810.03993).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from fittingroom.audits.card_evaluation import accuracy_format, evaluation
from fittingroom.audits.card_facts import NOT_STATED, CardFacts, listed_images, public_command
from fittingroom.audits.card_parts import (
    CardSection,
    bullets,
    code,
    escaped,
    plain_line,
)
from fittingroom.audits.practices import practices
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.text import amount, number

DATA_CARD_NAME = "croissant.json"
"""The file beside the model card that has the data card."""

_HUB_DATASETS = {"fashion-mnist": "zalando-datasets/fashion_mnist", "mnist": "ylecun/mnist"}
"""Datasets of the catalogue by their names on Hugging Face's hub."""

_MOST_CLASSES = 20
_QUIET: tuple[Any, ...] = (None, [], "", False, 0, 0.0)


def _count(value: Any) -> str:
    return number(value)


def _nats(value: Any) -> str:
    return number(value, 4)


def _seconds(value: Any) -> str:
    return f"{number(value, 1)} s"


def _listed(rows: Any) -> str:
    return amount(listed_images(rows), "image")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_plain, value)) or "none"
    return {True: "yes", False: "no"}.get(value, plain_line(value)) if isinstance(value, bool) else plain_line(value)


def model_card_sections(facts: CardFacts) -> tuple[CardSection, ...]:
    """All sections of the model card, the title first."""
    return (
        _title(facts),
        *_details(facts),
        *_uses(facts),
        *_limitations(facts),
        _start(facts),
        *_training(facts),
        *evaluation(facts),
        _environment(facts),
        _specifications(facts),
        *practices(facts),
        CardSection("Citation", 1, (facts.told("model", "citation"), f"Dataset: {_citation(facts)}")),
        CardSection("Model Card Contact", 1, (facts.told("model", "contact"),)),
    )


def front_matter(facts: CardFacts) -> dict[str, Any]:
    """The metadata at the top of the card, as Hugging Face's hub reads them.

    No licence stands there that nobody stated. The results are of the test set where it was opened, else of the
    validation images.
    """
    known = CATALOGUE.get(facts.record.data.name)
    hub = _HUB_DATASETS.get(facts.record.data.name)
    engine = "jax" if facts.record.has_epochs else "scikit-learn"
    found: dict[str, Any] = {
        **_licence(facts.about["model"].get("license")),
        "library_name": "fittingroom",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "fittingroom", engine, f"recipe:{facts.record.recipe['name']}"],
    }
    if hub is not None:
        found["datasets"] = [hub]
    found["metrics"] = ["accuracy"]
    scored = facts.test or facts.show
    part = "test" if facts.test is not None else "validation"
    mean = ".mean" if facts.several else ""
    metrics = [
        {"type": kind, "value": value, "name": f"{name} on {part} images"}
        for kind, name in (("accuracy", "Accuracy"), ("loss", "Cross-entropy (nats)"))
        if (value := scored.value(f"{part}.{kind}{mean}")) is not None
    ]
    if metrics:
        title = known.info.title if known is not None else facts.about["data"].get("title", facts.dataset)
        dataset = {"type": hub or _slug(facts.dataset), "name": plain_line(title), "split": part}
        task = {"type": "image-classification", "name": "Image Classification"}
        found["model-index"] = [
            {"name": plain_line(facts.run), "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}
        ]
    return found


def _licence(told: str | None) -> dict[str, str]:
    """A licence as the hub has it: one of its identifiers, which are in small letters, or another one by its name."""
    if told is None:
        return {}
    if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", told.lower()):
        return {"license": told.lower()}
    return {"license": "other", "license_name": _slug(told)}


def _slug(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def model_card_markdown(facts: CardFacts) -> str:
    """The whole card: the front matter as YAML, and the sections."""
    sections = "\n\n".join(section.markdown() for section in model_card_sections(facts))
    return f"---\n{_yaml(front_matter(facts))}---\n\n{sections}\n"


def _yaml(value: Mapping[str, Any]) -> str:
    """YAML of plain JSON. Every text is written as JSON writes it, which YAML reads alike."""
    return "".join(_yaml_lines(value, 0))


def _yaml_lines(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, one in value.items():
        if isinstance(one, Mapping):
            yield f"{indent}{key}:\n"
            yield from _yaml_lines(one, depth + 1)
        elif isinstance(one, list):
            yield f"{indent}{key}:\n"
            for item in one:
                if isinstance(item, Mapping):
                    first, *others = _yaml_lines(item, depth + 1)
                    yield f"{indent}- {first[2 * depth + 2 :]}"
                    yield from others
                else:
                    yield f"{indent}- {json.dumps(item, ensure_ascii=False)}\n"
        else:
            yield f"{indent}{key}: {json.dumps(one, ensure_ascii=False)}\n"


def _title(facts: CardFacts) -> CardSection:
    record, recipe = facts.record, facts.record.recipe["name"]
    seeds = f"{len(facts.records)} seeds" if facts.several else f"the seed {record.seed}"
    version = record.environment.versions.get("fittingroom", "")
    made = (
        f"An image classifier for {escaped(facts.dataset)}, trained with the recipe {escaped(recipe)} and {seeds} by "
        f"Fitting Room {escaped(version)} on {escaped(record.created[:10])}."
    )
    return CardSection(
        escaped(facts.run),
        1,
        (
            made,
            "Every number stands with the command that prints it. Where it says *not examined*, the command that "
            f"examines it stands there. The commands find the run as {code(facts.run)} in the folder that holds it.",
        ),
    )


def _details(facts: CardFacts) -> tuple[CardSection, ...]:
    data, backbone = facts.record.data, facts.record.recipe.get("backbone")
    size = " × ".join(map(str, data.image_shape[:2]))
    colour = "in colour" if len(data.image_shape) > 2 and data.image_shape[2] == 3 else "in grey"
    names = [escaped(name) for name in data.classes[:_MOST_CLASSES]]
    more = f" and {len(data.classes) - len(names)} more" if len(data.classes) > len(names) else ""
    lines = [
        f"Developed by: {facts.told('model', 'developed_by')}",
        f"Model type: image classifier, one class for each picture; recipe {escaped(facts.record.recipe['name'])}",
        f"Input: pictures of {size} pixels {colour}",
        f"Classes: {', '.join(names)}{more}",
        f"License: {facts.told('model', 'license')}",
        f"Finetuned from: {'no other model' if backbone is None else escaped(backbone)}",
        f"Repository: {facts.told('model', 'repository')}",
    ]
    return (CardSection("Model Details", 1, (bullets(lines),)),)


def _uses(facts: CardFacts) -> tuple[CardSection, ...]:
    scope = facts.about["model"].get("out_of_scope")
    always = (
        f"The model knows only the classes above, and its numbers are of images of {escaped(facts.dataset)}. They do "
        "not say how it does on pictures of another origin."
    )
    return (
        CardSection("Uses", 1, ()),
        CardSection("Direct Use", 2, (facts.told("model", "direct_use"),)),
        CardSection("Downstream Use", 2, (facts.told("model", "downstream_use"),)),
        CardSection("Out-of-Scope Use", 2, (always, *([] if scope is None else [escaped(scope)]))),
    )


def _limitations(facts: CardFacts) -> tuple[CardSection, ...]:
    checks = [facts.check(name) for name in ("slices", "robustness", "unlike")]
    told = facts.about["model"].get("risks")
    return (
        CardSection("Bias, Risks, and Limitations", 1, (*([] if told is None else [escaped(told)]), *checks)),
        CardSection("Recommendations", 2, (facts.told("model", "recommendations"),)),
    )


def _start(facts: CardFacts) -> CardSection:
    run = json.dumps(facts.run, ensure_ascii=False)
    lines = [
        "```python",
        "import fittingroom as fr",
        "",
        f"run = fr.open_run({run})",
        'print(run.answer("picture.png")[0])  # a class with its calibrated probability, or why it is refused',
        "```",
    ]
    shell = f"In a shell: {code(facts.command('predict', 'picture.png'))}; over HTTP: {code(facts.command('serve'))}."
    return CardSection("How to Get Started with the Model", 1, ("\n".join(lines), shell))


def _training(facts: CardFacts) -> tuple[CardSection, ...]:
    show = facts.show
    counts = show.numbers(
        ("training images", "data.counts.train", _count),
        ("validation images", "data.counts.validation", _count),
        ("test images, sealed", "data.counts.test", _count),
        ("left out by a reviewed list", "data.load.exclude.rows", _listed),
        ("given another label by a reviewed list", "data.load.relabel.rows", _listed),
        ("fingerprint of the training and validation data", "data.fingerprint", _plain),
        ("fingerprint of the test set", "data.test_fingerprint", _plain),
    )
    about = [f"{title}: {escaped(text)}" for title, text in _data_lines(facts)]
    checks = [facts.check(name) for name in ("raw-data", "duplicates", "labels")]
    repeat = _repeat(facts)
    settings = show.numbers(
        *(
            (name.replace("_", " "), f"settings.{name}", _plain)
            for name, value in facts.record.recipe.items()
            if value not in _QUIET and name != "model"
        )
    )
    mean = ".mean" if facts.several else ""
    epochs = facts.record.has_epochs
    # A classifier that is fitted in one go was asked for some of its training images afterwards.
    when = "in the last epoch of training" if epochs else "on training images"
    speeds = show.numbers(
        ("seeds", "seeds", _plain),
        *((("epochs", "epochs", _count),) if epochs else ()),
        ("set-up", "seconds.setup", _seconds),
        *((("compiling", "seconds.compile", _seconds),) if epochs else ()),
        ("training" if epochs else "fitting", "seconds.train", _seconds),
        (f"accuracy {when}", f"train.accuracy{mean}", accuracy_format(facts)),
        (f"loss {when} (nats)", f"train.loss{mean}", _nats),
        *(() if epochs else (("training images that were scored", "train.count", _count),)),
    )
    return (
        CardSection("Training Details", 1, ()),
        CardSection(
            "Training Data",
            2,
            (
                f"The data card is [{DATA_CARD_NAME}]({DATA_CARD_NAME}).",
                *([bullets(about)] if about else []),
                *counts,
                *checks,
            ),
        ),
        CardSection("Training Procedure", 2, (repeat,)),
        CardSection("Training Hyperparameters", 3, tuple(settings)),
        CardSection("Speeds, Sizes, Times", 3, tuple(speeds)),
    )


def _data_lines(facts: CardFacts) -> Iterator[tuple[str, str]]:
    known = CATALOGUE.get(facts.record.data.name)
    if known is not None:
        yield from (("Title", known.info.title), ("License", known.info.licence), ("Home page", known.info.homepage))
        if known.info.about:
            yield "What the images show", known.info.about
    told = facts.about["data"]
    for key, title in (
        ("title", "Title"),
        ("license", "License"),
        ("url", "Home page"),
        ("collection", "How the images were collected"),
        ("annotation", "How the labels were made"),
        ("sensitive", "Personal or sensitive information"),
    ):
        if key in told:
            yield title, told[key]


def _repeat(facts: CardFacts) -> str:
    """The command that trains the same again, without the folders of this machine."""
    command = None if facts.explain is None else facts.explain.value("run.command")
    if command is None:
        return f"{code(facts.command('replay'))} trains it again where the recipe and the data are known."
    return f"{code(public_command(command))} trains the same again."


def _environment(facts: CardFacts) -> CardSection:
    hardware = facts.show.numbers(
        ("processor", "environment.processor", _plain),
        ("cores", "environment.cores", _count),
        ("device", "environment.device", _plain),
        ("training", "seconds.train", _seconds),
    )
    return CardSection(
        "Environmental Impact", 1, (*hardware, "**Energy and carbon: not examined.** No command measures them.")
    )


def _specifications(facts: CardFacts) -> CardSection:
    versions = facts.record.environment.versions
    software = facts.show.numbers(*((name, f"environment.versions.{name}", _plain) for name in versions))
    return CardSection("Technical Specifications", 1, tuple(software))


def _citation(facts: CardFacts) -> str:
    known = CATALOGUE.get(facts.record.data.name)
    told = facts.about["data"].get("citation")
    return escaped(told) if told else NOT_STATED if known is None else escaped(known.info.citation)
