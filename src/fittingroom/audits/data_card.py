"""The data card of a run: Croissant, the JSON-LD in which machine-learning datasets are described.

It follows the Croissant format 1.0 with its vocabulary for responsible AI (mlcommons.org/croissant). Classes and parts
stand in it as record sets with their counts; what was examined of the data stands in the properties for responsible AI.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from fittingroom.audits.card_facts import CardFacts
from fittingroom.audits.card_parts import plain_line
from fittingroom.audits.checks import CHECKS
from fittingroom.data.catalogue import CATALOGUE, CatalogueEntry

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

_PARTS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}

_FORMATS = {
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}

_SPDX = {
    "MIT": "https://spdx.org/licenses/MIT.html",
    "CC BY-SA 3.0": "https://creativecommons.org/licenses/by-sa/3.0/",
    "CC BY-SA 4.0": "https://creativecommons.org/licenses/by-sa/4.0/",
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC BY-NC 4.0": "https://creativecommons.org/licenses/by-nc/4.0/",
}


def data_card(facts: CardFacts) -> dict[str, Any]:
    """The card as JSON-LD. No file's path on this machine stands in it."""
    known, told = CATALOGUE.get(facts.record.data.name), facts.about["data"]
    card: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "name": _name(facts, known),
        "description": _description(facts, known),
        "license": told.get("license") or _licence(known),
        "url": told.get("url") or (known.info.homepage if known else None),
        "citeAs": told.get("citation") or (known.info.citation if known else None),
        "creator": _creators(facts, known),
        "datePublished": told.get("published") or (known.info.published if known else None),
        "version": told.get("version"),
        "distribution": _published_files(known) or _picture_files(facts),
        "recordSet": [_parts(facts), _classes(facts), *_images(facts)],
        **_responsible(facts),
    }
    return {key: value for key, value in card.items() if value not in (None, [], "", "unknown")}


def _name(facts: CardFacts, known: CatalogueEntry | None) -> str:
    return plain_line(known.name if known is not None else facts.about["data"].get("title", facts.dataset))


def _description(facts: CardFacts, known: CatalogueEntry | None) -> str:
    data = facts.record.data
    size = " × ".join(map(str, data.image_shape))
    title = known.info.title if known is not None else facts.dataset
    own = facts.about["data"].get("description")
    said = [
        *([] if own is None else [own]),
        *([known.info.about] if known is not None and known.info.about else []),
        f"{title}: images of {size} values in {len(data.classes)} classes, as the run {facts.run} used them.",
        f"Fingerprint of the training and validation data: {data.fingerprint or 'none, since they were plain arrays'}; "
        f"of the test set: {data.test_fingerprint or 'none'}.",
    ]
    return plain_line(" ".join(said))


def _licence(known: CatalogueEntry | None) -> str | None:
    return None if known is None else _SPDX.get(known.info.licence, known.info.licence)


def _creators(facts: CardFacts, known: CatalogueEntry | None) -> list[dict[str, str]]:
    told = facts.about["data"].get("creators")
    if told is not None:
        names: tuple[str, ...] = tuple(name.strip() for name in told.split(",") if name.strip())
    else:
        names = () if known is None else known.info.creators
    return [{"@type": "sc:Person", "name": plain_line(name)} for name in names]


def _published_files(known: CatalogueEntry | None) -> list[dict[str, str]]:
    """The files of a published dataset, with the checksums that were published."""
    if known is None or not known.mirrors:
        return []
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": f"{known.mirrors[0]}{name}",
            "encodingFormat": "application/gzip" if name.endswith(".gz") else "application/zip",
            "md5": checksum,
        }
        for name, checksum in known.info.checksums.items()
    ]


def _picture_files(facts: CardFacts) -> list[dict[str, Any]]:
    """The pictures of the folder that the card lies in. Other files of a user have no address, and are not listed."""
    depths = {len(PurePosixPath(file).parts) - 1 for file in facts.files}
    if len(depths) != 1 or not facts.record.data.name.startswith("folder:"):
        return []
    below = "*/" * depths.pop()
    endings = sorted({PurePosixPath(file).suffix for file in facts.files} | set(_FORMATS))
    return [
        {
            "@type": "cr:FileSet",
            "@id": "pictures",
            "name": "pictures",
            "description": "The pictures, in the folder that this card was copied into.",
            "encodingFormat": sorted({_FORMATS[one.lower()] for one in endings if one.lower() in _FORMATS}),
            "includes": [f"{below}*{ending}" for ending in endings],
        }
    ]


def _images(facts: CardFacts) -> list[dict[str, Any]]:
    """A record for each picture of a folder, with the name of its class where that is the folder that it lies in."""
    if not _picture_files(facts):
        return []

    def taken(name: str, kind: str, description: str, extract: dict[str, Any]) -> dict[str, Any]:
        source = {"fileSet": {"@id": "pictures"}, **extract}
        return {**_field("images", name, kind, description), "source": source}

    fields = [taken("picture", "sc:ImageObject", "The picture.", {"extract": {"fileProperty": "content"}})]
    if {PurePosixPath(file).parent.name for file in facts.files} <= set(facts.record.data.classes):
        where = {"extract": {"fileProperty": "fullpath"}, "transform": {"regex": "(?:.*/)?([^/]+)/[^/]+$"}}
        fields.append(taken("class", "sc:Text", "The name of its class.", where))
    return [{"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}]


def _field(record_set: str, name: str, kind: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
    }


def _parts(facts: CardFacts) -> dict[str, Any]:
    counts = facts.record.data.counts
    return {
        "@type": "cr:RecordSet",
        "@id": "parts",
        "name": "parts",
        "description": f"The parts and their numbers of images, as {facts.command('show')} --json has them.",
        "dataType": "cr:Split",
        "key": {"@id": "parts/name"},
        "field": [
            _field("parts", "name", "sc:Text", "The name of the part."),
            _field("parts", "url", "sc:URL", "Which kind of part it is."),
            _field("parts", "images", "sc:Integer", "How many images it has."),
        ],
        "data": [
            {"parts/name": name, "parts/url": kind, "parts/images": counts[name]} for name, kind in _PARTS.items()
        ],
    }


def _classes(facts: CardFacts) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes, by the number that stands for each.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/label"},
        "field": [
            _field("classes", "label", "sc:Integer", "The number that stands for the class."),
            _field("classes", "name", "sc:Text", "The name of the class."),
        ],
        "data": [
            {"classes/label": label, "classes/name": plain_line(name)}
            for label, name in enumerate(facts.record.data.classes)
        ],
    }


def _responsible(facts: CardFacts) -> dict[str, Any]:
    """The properties for responsible AI: what the user tells, and what the audit found, or that nobody examined it."""
    told = facts.about["data"]
    return {
        "rai:dataCollection": told.get("collection", "Not stated."),
        "rai:dataAnnotationProtocol": told.get("annotation", "Not stated."),
        "rai:personalSensitiveInformation": told.get("sensitive", "Not stated."),
        "rai:dataAnnotationAnalysis": _checked(facts, "labels"),
        "rai:dataBiases": [*([told["biases"]] if "biases" in told else []), *_checked(facts, "raw-data", "slices")],
        "rai:dataLimitations": [
            *([told["limitations"]] if "limitations" in told else []),
            *_checked(facts, "duplicates"),
        ],
    }


def _checked(facts: CardFacts, *checks: str) -> list[str]:
    found = []
    for name in checks:
        title, kept, command = CHECKS[name].title, facts.checks.get(name), facts.audit_command(name)
        said = "not examined" if kept is None else f"{kept['verdict']}. {' '.join(kept['sentences'])}"
        how = f"From: {command}" if kept is not None else "" if command is None else f"{command} examines it."
        found.append(plain_line(f"{title}: {said}. {how}" if kept is None else f"{title}: {said} {how}"))
    return found
