"""The data card: Croissant 1.0 (MLCommons), JSON-LD that names every file's bytes.

Beside what Croissant demands it says what this project asks of data: how personal data
was treated, who may be in it, and what was left out.
"""

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

from training.curate.pipeline import Curated
from training.examples import Split

CONTEXT: Final[dict[str, Any]] = {
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
"""As the specification has it, and mlcroissant asks for."""

FIELDS: Final = (
    ("id", "id", "", "unique; says nothing"),
    ("intent", "intent", "", "summarise, extract, classify, refuse or uncertain"),
    ("user", "input", "$.user", "the request"),
    ("status", "output", "$.status", "ok, uncertain or refused"),
    ("answer", "output", "$.answer", "what the assistant should say"),
    ("source", "source", "", "where the example is from"),
    ("license", "license", "", "SPDX expression"),
    ("consent", "consent", "", "on what ground it may be used"),
    ("region", "region", "", "where its subjects and its storage are"),
    ("date", "date", "", "when it came about"),
)
"""Name, member of the line's object, path within that, and what it is. mlcroissant takes
the members of lines of JSON for columns."""


def card(
    curated: Curated, files: Mapping[Split, bytes], name: str, made: dt.date
) -> dict[str, Any]:
    """Describe a curated data set.

    Args:
        curated: what it holds, and what was left out.
        files: the bytes of each split's file.
        name: of the data set.
        made: the day.
    """
    every = [one for found in curated.splits.values() for one in found]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": (
            f"{len(every)} examples that teach an assistant behaviour: answer from the"
            " passages, cite them, say `uncertain` without them, refuse what is not"
            " allowed."
        ),
        "citeAs": f"{name}, curated by `python -m training curate`, {made.isoformat()}",
        "license": sorted({one.license for one in every}),
        "url": f"urn:sha256:{_digest(b''.join(files.values()))}",
        "version": "1.0.0",
        "datePublished": made.isoformat(),
        "isLiveDataset": False,
        "rai:personalSensitiveInformation": _personal(curated),
        "rai:dataCollection": "; ".join(_counted(one.source for one in every)),
        "rai:dataPreprocessingProtocol": [
            f"{step.name}: {step.left} of {step.came}"
            + (f", {step.changed} changed" if step.changed else "")
            for step in curated.steps
        ],
        "rai:dataUseCases": "Supervised tuning of ACME Assistant; nothing else.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": f"{split}.jsonl",
                "name": f"{split}.jsonl",
                "contentUrl": f"{split}.jsonl",
                "encodingFormat": "application/jsonlines",
                "contentSize": f"{len(content)} B",
                "sha256": _digest(content),
            }
            for split, content in files.items()
        ],
        "recordSet": [_record_set(split) for split in files],
    }


def _record_set(split: Split) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": split,
        "name": split,
        "key": {"@id": f"{split}/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{split}/{name}",
                "name": f"{split}/{name}",
                "description": what,
                "dataType": "sc:Date" if name == "date" else "sc:Text",
                "source": {
                    "fileObject": {"@id": f"{split}.jsonl"},
                    "extract": {"column": column},
                    **({"transform": {"jsonPath": path}} if path else {}),
                },
            }
            for name, column, path, what in FIELDS
        ],
    }


def _personal(curated: Curated) -> list[str]:
    found = [f"{count} {kind}" for kind, count in sorted(curated.scrubbed.items())]
    return [
        f"Found by form and checksum and replaced by pseudonyms: {', '.join(found) or 'none'}.",
        "Names without a title have no form and are not found; docs/curation.md.",
    ]


def _counted(values: Any) -> list[str]:
    return [f"{value}: {count}" for value, count in Counter(values).most_common()]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
