"""Writes the parts of the docs that repeat what the code says, each between two markers of its page.

Usage: python -m docs.generate

A page with its prose must exist for each command; what stands between the markers is made from the argument parser, the
recipe, the catalogue, the server's OpenAPI document and the docstrings. `tests/docs/test_reference.py` fails when a
page is missing or its marked part is out of date.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import inspect
import os
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")

import fittingroom
from benchmarks.readme import between_markers
from fittingroom.backbones.backbone import known_backbones
from fittingroom.cli.main import COMMANDS, build_parser
from fittingroom.data.catalogue import CATALOGUE
from fittingroom.data.made.font_families import FONTS
from fittingroom.errors import RecipeError
from fittingroom.recipes.named import NAMED, read_claims
from fittingroom.recipes.recipe import Recipe
from fittingroom.recipes.settings import AUGMENTATIONS, Setting

DOCS = Path(__file__).parent
SOURCE = DOCS.parent / "src" / "fittingroom"
PYTHON_PAGES = ("functions", "runs", "data", "answers", "experiments", "errors")


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    parser = build_parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(subparsers.choices)


def command_options(parser: argparse.ArgumentParser) -> str:
    """How a command is called, and a line for each argument and option."""
    positional = [action for action in parser._actions if not action.option_strings]
    optional = [action for action in parser._actions if action.option_strings and action.dest != "help"]
    usage = " ".join([parser.prog, *map(_positional, positional), "[OPTIONS]"])
    lines = [_argument(parser, action) for action in (*positional, *optional)]
    return "\n".join(["```text", usage, "```", "", *lines, ""])


def _positional(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return {"?": f"[{name}]", "*": f"[{name}...]", "+": f"{name}..."}.get(str(action.nargs), name)


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if action.option_strings:
        shown = {"?": f"[{value}]", "*": f"{value}...", "+": f"{value}...", "0": ""}.get(str(action.nargs), value)
        value = f"{', '.join(action.option_strings)} {shown}".strip()
    # argparse alone fills in `%(default)s`; it has no public way to ask for that.
    says = parser._get_formatter()._expand_help(action) if action.help else ""
    says = re.sub(r"(?<![`\w-])--[a-z][\w-]*", r"`\g<0>`", says)
    return _item(f"`{value}`: {says}")


def _item(text: str) -> str:
    """An item of a list, in lines that a diff can show."""
    return _paragraph(f"- {text}", indent="  ")


def _paragraph(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def command_list() -> str:
    """A line for each command, with the way to its page."""
    return "".join(f"- [`fittingroom {name}`]({name}.md): {summary}\n" for name, summary in COMMANDS.items())


def recipe_settings() -> str:
    """Each setting of a recipe: what it means, what it may be, and what it is where nothing is said."""
    meanings = _arguments_of(inspect.getdoc(Recipe) or "")
    parts = []
    for field in dataclasses.fields(Recipe):
        default = _toml_text(Recipe(), field.name)
        parts += [f"### `{field.name}`", "", _paragraph(_sentence(meanings[field.name])), ""]
        parts += [_item(f"Default: {default}"), _item(f"Values: {expected(field.name)}"), ""]
    return "\n".join(parts)


def expected(setting: str) -> str:
    """What a setting may be, as the error says that a wrong value meets."""
    try:
        Setting(setting, object())
    except RecipeError as error:
        return str(error).partition("expected ")[2].rstrip(".")
    raise AssertionError(f"{setting} takes anything")


def _toml_text(recipe: Recipe, name: str) -> str:
    lines = recipe.to_toml().splitlines()
    found = [line.partition(" = ")[2] for line in lines if line.startswith(f"{name} = ")]
    return f"`{found[0]}`" if found else "none"


def _arguments_of(docstring: str) -> dict[str, str]:
    """The entries below `Args:`, from a docstring whose indentation is gone, as Python 3.13 compiles it."""
    section = re.split(r"\n(?=\S)", docstring.partition("Args:\n")[2])[0]
    entries = re.split(r"^ {4}(\w+): ", section, flags=re.MULTILINE)[1:]
    return {name: " ".join(text.split()) for name, text in zip(entries[::2], entries[1::2], strict=True)}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def augmentations() -> str:
    """Each augmentation with the meaning of its number."""
    lines = [
        f"- `{name}`" if meaning is None else _item(f"`{name} N`: {meaning}") for name, meaning in AUGMENTATIONS.items()
    ]
    return "\n".join([*lines, ""])


def named_recipes() -> str:
    """Each named recipe as a file, with what it reached."""
    claims = read_claims()
    parts = []
    for name, entry in NAMED.items():
        claim = claims.get(name)
        parts += [f"### `{name}`", "", entry.summary, ""]
        parts += [_paragraph(claim.text if claim else "It has not been measured yet."), ""]
        changed = [line for line in entry.recipe.to_toml().splitlines() if line not in Recipe().to_toml().splitlines()]
        parts += ["```toml", *changed, "```", ""]
    return "\n".join(parts)


def backbones() -> str:
    """A row for each pretrained network."""
    lines = ["| name | pixels | parameters | blocks | licence | paper |", "|---|---|---|---|---|---|"]
    for each in known_backbones():
        numbers = f"{each.input_size} | {each.parameters:,} | {each.blocks}"
        lines.append(f"| `{each.name}` | {numbers} | {each.licence or 'not known'} | {each.citation} |")
    return "\n".join([*lines, ""])


def datasets() -> str:
    """A row for each dataset that is known by name."""
    lines = ["| name | family | images | training, test | classes | licence |", "|---|---|---|---|---|---|"]
    for entry in CATALOGUE.values():
        size = "×".join(map(str, entry.image_shape[:2])) + (" colour" if len(entry.image_shape) == 3 else "")
        counts = f"{entry.train_size:,}, {entry.test_size:,}"
        classes = ", ".join(entry.classes)
        lines.append(f"| `{entry.name}` | {entry.family} | {size} | {counts} | {classes} | {entry.info.licence} |")
    return "\n".join([*lines, ""])


def fonts() -> str:
    """A row for each family of fonts that letters and symbols are drawn with."""
    lines = ["| dataset | part | fonts | designers | licence |", "|---|---|---|---|---|"]
    for name, parts in FONTS.items():
        for part, families in zip(("training, validation", "test"), parts, strict=True):
            for one in families:
                title = f"{one.title} ({len(one.files.places)})"
                lines.append(f"| `{name}` | {part} | {title} | {one.designers} | {one.licence} |")
    return "\n".join([*lines, ""])


def openapi() -> Mapping[str, Any]:
    """The document that a server of a small run describes itself with."""
    from fittingroom.serving.app import create_app
    from fittingroom.serving.drift_watch import DriftWatch
    from fittingroom.serving.gate import Security
    from fittingroom.serving.served_model import ServedModel

    with tempfile.TemporaryDirectory() as folder:
        recipe = NAMED["linear"].recipe.changed(epochs=1)
        run = fittingroom.train("digits", recipe, out=Path(folder) / "run")
        security = Security(frozenset({"localhost"}), any_address=False, token=None)
        app = create_app(ServedModel.of(run), security, DriftWatch.of(run.path, run.predictor))
    found: Mapping[str, Any] = app._app.openapi()  # type: ignore[attr-defined]
    return found


def routes() -> str:
    """Each route: what it gives, its parameters, and its statuses."""
    document = openapi()
    parts = []
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parts += [
                f"### `{method.upper()} {path}`",
                "",
                _paragraph(f"{route['summary']}. {route.get('description', '')}"),
                "",
            ]
            parts += [
                _item(
                    f"`{one['name']}` ({one['in']}): {one['schema'].get('description') or one.get('description', '')}"
                )
                for one in route.get("parameters", ())
            ]
            body = route.get("requestBody", {}).get("content", {})
            if body:
                parts += [_item(f"Body: {', '.join(f'`{kind}`' for kind in body)}")]
            answers = route["responses"]
            parts += [_item(f"Status {status}: {answer['description']}") for status, answer in sorted(answers.items())]
            parts.append("")
    return "\n".join(parts + list(_schemas(document["components"]["schemas"])))


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        yield from (f"### {name}", "", schema.get("description", ""), "")
        for key, value in schema.get("properties", {}).items():
            yield _item(f"`{key}`: {value.get('description', '')}".rstrip(": "))
        yield ""


def public_names() -> dict[str, list[str]]:
    """The names that each page of the Python reference describes, by Sphinx's directives on it."""
    found = {}
    for page in PYTHON_PAGES:
        text = (DOCS / "reference" / "python" / f"{page}.md").read_text(encoding="utf-8")
        found[page] = re.findall(r"^\.\. auto(?:function|class|exception):: fittingroom\.(\w+)", text, re.MULTILINE)
    return found


def python_names() -> str:
    """A line for each public name, with the way to its page."""
    lines = []
    for page, names in public_names().items():
        lines += [f"### [{_title(page)}](python/{page}.md)", ""]
        for name in names:
            says = (getattr(fittingroom, name).__doc__ or "").strip().partition("\n")[0]
            lines.append(_item(f"`{name}`: {says}"))
        lines.append("")
    return "\n".join(lines)


def _title(page: str) -> str:
    text = (DOCS / "reference" / "python" / f"{page}.md").read_text(encoding="utf-8")
    return text.partition("\n")[0].removeprefix("# ")


def source_tree() -> str:
    """Each room of the package with its files, and the first line of what each says of itself."""
    lines = []
    for room in [SOURCE, *sorted(path for path in SOURCE.iterdir() if path.is_dir())]:
        files = sorted(room.glob("*.py") if room == SOURCE else room.rglob("*.py"))
        if not files:
            continue
        name = "" if room == SOURCE else f"{room.name}/"
        own = _first_line(room / "__init__.py")
        lines += [f"### `fittingroom/{name}`", "", own, ""]
        for file in files:
            if file.name not in {"__init__.py", "__main__.py"}:
                lines.append(_item(f"`{file.relative_to(room)}`: {_first_line(file)}"))
        lines.append("")
    return "\n".join(lines)


def _first_line(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "" if file.exists() else ""
    return " ".join(text.partition("\n\n")[0].split())


def marked_parts() -> dict[tuple[str, str], Callable[[], str]]:
    """(page, marker) -> what makes the part of it."""
    parts: dict[tuple[str, str], Callable[[], str]] = {
        ("reference/commands/index.md", "commands"): command_list,
        ("reference/settings.md", "settings"): recipe_settings,
        ("reference/settings.md", "augmentations"): augmentations,
        ("reference/recipes.md", "recipes"): named_recipes,
        ("reference/backbones.md", "backbones"): backbones,
        ("reference/datasets.md", "datasets"): datasets,
        ("reference/made-datasets.md", "fonts"): fonts,
        ("reference/http.md", "routes"): routes,
        ("reference/python.md", "names"): python_names,
        ("architecture.md", "tree"): source_tree,
    }
    for name, parser in command_parsers().items():
        parts[f"reference/commands/{name}.md", "options"] = lambda parser=parser: command_options(parser)  # type: ignore[misc]
    return parts


def main() -> None:
    """Writes all of them."""
    for (page, marker), make in marked_parts().items():
        path = DOCS / page
        text = path.read_text(encoding="utf-8")
        path.write_text(between_markers(text, marker, f"\n{make()}\n"), encoding="utf-8")


if __name__ == "__main__":
    main()
