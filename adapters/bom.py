"""The CycloneDX 1.6 ML-BOM, rendered from the manifest: `bom.json`.

What the model card tells people, told to tools
(https://cyclonedx.org/docs/1.6/json/#metadata_component_modelCard). The same manifest
gives the same bytes. That the schema is met is checked by tests, with CycloneDX's own
library; documents this small need no library to be written.
"""

import uuid
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters.bom_card import model_card, properties
from adapters.claims import BaseModel
from adapters.files import write_atomic
from adapters.iris import is_link
from adapters.manifest import BOM, CARD, Manifest, encode_hook, load
from adapters.refs import AdapterRef

_MODEL: Final = "machine-learning-model"


def render(manifest: Manifest) -> bytes:
    """Render the bill of materials of an adapter: indented JSON."""
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": _serial(manifest),
        "version": 1,
        "metadata": {
            "timestamp": manifest.created.isoformat(),
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "wastegate"}]},
            "component": _model(manifest),
        },
        "components": [{**_base(manifest.base), "bom-ref": manifest.base.ref}],
        "dependencies": [
            {"ref": manifest.ref, "dependsOn": [manifest.base.ref]},
            {"ref": manifest.base.ref},
        ],
        "compositions": [{"aggregate": "complete", "assemblies": [manifest.ref]}],
    }
    raw = msgspec.json.encode(document, enc_hook=encode_hook)
    return msgspec.json.format(raw, indent=2) + b"\n"


def write(directory: Path) -> None:
    """Render bom.json beside a sealed manifest. Raises ManifestError, OSError."""
    write_atomic(directory / BOM, render(load(directory)))


def _serial(manifest: Manifest) -> str:
    """Name the document: for ever the same for the same bytes under the same ref."""
    named = f"wastegate:{manifest.ref}:{manifest.digest}"
    return uuid.uuid5(uuid.NAMESPACE_URL, named).urn


def _model(manifest: Manifest) -> dict[str, Any]:
    model: dict[str, Any] = {
        "type": _MODEL,
        "bom-ref": manifest.ref,
        "name": manifest.ref.name,
        "version": f"v{manifest.ref.version}",
        "licenses": [{"expression": manifest.licence}],
        "pedigree": {"ancestors": _ancestors(manifest)},
        "externalReferences": _references(manifest),
        "components": _files(manifest),
        "modelCard": model_card(manifest),
        "properties": properties(_identity(manifest)),
    }
    if manifest.about.summary:
        model["description"] = manifest.about.summary
    return model


def _identity(manifest: Manifest) -> dict[str, object]:
    return {
        "digest": manifest.digest,
        "config_digest": manifest.config_digest,
        "command": manifest.command,
        "servable": manifest.servable,
    }


def _ancestors(manifest: Manifest) -> list[dict[str, Any]]:
    ancestors = [_base(manifest.base)]
    if manifest.parent is not None:
        ancestors.append(_parent(manifest.parent))
    return ancestors


def _base(base: BaseModel) -> dict[str, Any]:
    known = {"digest": base.digest, "source": base.source}
    return {
        "type": _MODEL,
        "name": base.ref.name,
        "version": ".".join(map(str, base.ref.version)),
        # Its digest is over a list of files, which CycloneDX has no hash for.
        "properties": properties(
            {name: value for name, value in known.items() if value}
        ),
    }


def _parent(parent: AdapterRef) -> dict[str, Any]:
    return {"type": _MODEL, "name": parent.name, "version": f"v{parent.version}"}


def _files(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "type": "file",
            "bom-ref": f"{manifest.ref}/{name}",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        for name, digest in sorted(manifest.files.items())
    ]


def _references(manifest: Manifest) -> list[dict[str, Any]]:
    """Link the card and the evidence; evidence in words stands with its metric."""
    links = dict.fromkeys(
        metric.evidence
        for metric in manifest.metrics.values()
        if is_link(metric.evidence)
    )
    evidence = [{"type": "evidence", "url": link} for link in links]
    return [{"type": "model-card", "url": CARD}, *evidence]
