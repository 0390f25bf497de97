"""The model card's front matter: the YAML that the Hugging Face Hub reads."""

import json
from typing import Final

from adapters.manifest import CONFIG, Manifest

_HUB_LICENCES: Final = frozenset(
    {
        "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0",
        "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "gpl-3.0", "lgpl-3.0",
        "agpl-3.0", "mpl-2.0", "unlicense",
    }
)  # fmt: skip
"""The hub's identifiers that equal the SPDX ones but for case."""

_NO_TEXT: Final = frozenset({"no", "yes", "on", "off"})
"""What YAML 1.1 reads as a truth value."""


def front_matter(manifest: Manifest) -> str:
    """Render what stands between the lines of dashes, with them."""
    is_adapter = CONFIG in manifest.files
    kind = () if manifest.r is None else ("lora",)
    # The hub knows languages, and no regions of them.
    languages = dict.fromkeys(each.split("-")[0] for each in manifest.data.languages)
    lines = [
        "---",
        *_licence(manifest.licence),
        f"base_model: {_yaml(manifest.base.source or manifest.base.ref)}",
        f"base_model_relation: {'adapter' if is_adapter else 'finetune'}",
        f"library_name: {'peft' if is_adapter else 'transformers'}",
        "pipeline_tag: text-generation",
        "language:",
        *(f"- {_language(each)}" for each in languages),
        "tags:",
        *(f"- {tag}" for tag in (*kind, manifest.method, "wastegate")),
        *_model_index(manifest),
        "---",
        "",
    ]
    return "\n".join(lines)


def _language(tag: str) -> str:
    # YAML 1.1 reads the tag of Norwegian, `no`, as false.
    return _yaml(tag) if tag in _NO_TEXT else tag


def _licence(expression: str) -> list[str]:
    if expression.lower() in _HUB_LICENCES:
        return [f"license: {_yaml(expression.lower())}"]
    return ["license: other", f"license_name: {_yaml(expression)}"]


def _model_index(manifest: Manifest) -> list[str]:
    """List the metrics that were measured on a named data set, as the hub does."""
    named = {
        name: metric for name, metric in manifest.metrics.items() if metric.dataset
    }
    if not named:
        return []
    lines = ["model-index:", f"- name: {_yaml(manifest.ref)}", "  results:"]
    for name, metric in named.items():
        lines += [
            "  - task:",
            "      type: text-generation",
            "    dataset:",
            f"      name: {_yaml(metric.dataset)}",
            f"      type: {_yaml(metric.dataset)}",
            "    metrics:",
            f"    - type: {_yaml(name)}",
            f"      name: {_yaml(name)}",
            f"      value: {_yaml_number(metric.value)}",
        ]
    return lines


def _yaml_number(value: float) -> str:
    # YAML 1.1 reads 1e-05 as a text: its floats need a dot.
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}{mark}{exponent}"


def _yaml(text: str) -> str:
    """Quote a text as a YAML double-quoted scalar."""
    # JSON's escapes are YAML's, except that YAML reads the two halves of a pair
    # of surrogates as two characters: such characters are escaped whole.
    return '"' + "".join(_yaml_character(character) for character in text) + '"'


def _yaml_character(character: str) -> str:
    code = ord(character)
    if code > 0xFFFF:  # noqa: PLR2004 - the last code of one \u escape
        return f"\\U{code:08x}"
    return json.dumps(character)[1:-1] if code != 0x7F else "\\x7f"  # noqa: PLR2004 - DEL
