"""The model card, rendered from the manifest: no number in it is typed by hand.

A Hugging Face card: YAML front matter
(https://huggingface.co/docs/hub/model-cards), then text. Values from the
manifest are data, so each is quoted for the place where it is put.
"""

import json
from pathlib import Path
from typing import Any, Final

from adapters.files import write_atomic
from adapters.manifest import CARD, CONFIG, WEIGHTS, Manifest, Metric, load
from adapters.verdict import EvalVerdict

_HUB_LICENCES: Final = frozenset(
    {
        "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "cc0-1.0",
        "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "gpl-3.0", "lgpl-3.0",
        "agpl-3.0", "mpl-2.0", "unlicense",
    }
)  # fmt: skip
"""The hub's identifiers that equal the SPDX ones but for case."""

_METHODS: Final = {
    "sft": "Supervised fine-tuning (SFT): the loss is on the answer's tokens.",
    "dpo": "Direct preference optimisation (DPO) on pairs of answers.",
}


def render(manifest: Manifest) -> str:
    """Render the card of an adapter: Markdown with YAML front matter."""
    sections = (
        _title(manifest),
        _intended_use(manifest),
        _data(manifest),
        _method(manifest),
        _evals(manifest),
        _limits(manifest),
        _safety(manifest),
        _reproduce(manifest),
        _digests(manifest),
    )
    return _front_matter(manifest) + "\n" + "\n".join(sections)


def write(directory: Path) -> None:
    """Render README.md beside a sealed manifest. Raises ManifestError, OSError."""
    write_atomic(directory / CARD, render(load(directory)).encode())


def verdict_section(verdict: EvalVerdict) -> str:
    """Render the evals' verdict, for whoever shows a card: its file came before it."""
    rows = "".join(
        f"| {_line(gate.name)} | {gate.verdict} | {_line(gate.asked)} | {gate.seen}"
        f" | {gate.bounds} | {gate.n} | {_line(gate.says)} |\n"
        for gate in verdict.gates
    )
    evidence = f" Evidence: {_line(verdict.evidence)}." if verdict.evidence else ""
    return (
        f"## Verdict of the evals: {verdict.verdict}\n\n"
        "This section is the gateway's, and no part of the card's file. The evals"
        f" reached the verdict on {verdict.made.isoformat()}, on {verdict.samples}"
        f" samples and `{verdict.base}`, for the bytes of digest `{verdict.digest}`;"
        f" each bound is one-sided, at {verdict.confidence * 100:g} %.{evidence}\n\n"
        "| Gate | Verdict | Asked | Seen | Bounds | n | Says |\n"
        "|---|---|---|---|---|---|---|\n"
        f"{rows}\n{_block(verdict.command)}\n"
    )


def _front_matter(manifest: Manifest) -> str:
    lines = [
        "---",
        *_licence(manifest.licence),
        f"base_model: {_yaml(manifest.base.source or manifest.base.ref)}",
        "base_model_relation: adapter",
        "library_name: peft",
        "pipeline_tag: text-generation",
        "language:",
        "- en",
        "tags:",
        *(f"- {tag}" for tag in ("lora", manifest.method, "wastegate")),
        *_model_index(manifest),
        "---",
        "",
    ]
    return "\n".join(lines)


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


def _line(text: str) -> str:
    """Put a text on one line, for headings, list items and table cells."""
    flat = " ".join(text.split())
    return flat.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _block(text: str) -> str:
    """Put a text in a fence that it cannot close."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _title(manifest: Manifest) -> str:
    base = f"`{manifest.base.ref}`"
    source = f" ({_line(manifest.base.source)})" if manifest.base.source else ""
    summary = manifest.about.summary or (
        f"A LoRA adapter of rank {manifest.r} for {base}."
    )
    return (
        f"# {manifest.ref}\n\n{summary}\n\n"
        f"Base model: {base}{source}. Made {manifest.created.isoformat()}.\n"
    )


def _intended_use(manifest: Manifest) -> str:
    stated = manifest.about.intended_use or (
        "Not stated by who made it. It was trained for the task of its data, on its"
        " base, with its base's chat template; other uses were not looked at."
    )
    return f"## Intended use\n\n{stated}\n"


def _data(manifest: Manifest) -> str:
    data = manifest.data
    return (
        f"## Data\n\n{data.examples} examples by {_line(data.generator)},"
        f" sha256 `{data.digest}`.\n"
    )


def _method(manifest: Manifest) -> str:
    parent = f" Training started from `{manifest.parent}`." if manifest.parent else ""
    rows: dict[str, Any] = {
        "rank": manifest.r,
        "lora_alpha": manifest.lora_alpha,
        "target modules": ", ".join(manifest.target_modules),
        "dtype of the weights": manifest.dtype,
        "seed": manifest.seed,
        **{f"config.{name}": value for name, value in manifest.config.items()},
    }
    table = "".join(
        f"| {_line(name)} | {_line(_shown(value))} |\n" for name, value in rows.items()
    )
    return (
        f"## Method\n\n{_METHODS[manifest.method]}{parent}\n\n"
        f"| Setting | Value |\n|---|---|\n{table}"
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _evals(manifest: Manifest) -> str:
    if not manifest.metrics:
        return (
            "## Evals\n\nThe manifest carries no measurement of this adapter:"
            " nothing is known about its quality from this card.\n"
        )
    head = (
        "| Measure | Value | n | Lower | Upper | Bound | Measured on | Evidence |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    rows = "".join(_row(name, metric) for name, metric in manifest.metrics.items())
    return f"## Evals\n\n{head}{rows}"


def _row(name: str, metric: Metric) -> str:
    cells = (
        _line(name),
        f"{metric.value:.6g}",
        str(metric.n),
        "–" if metric.lower is None else f"{metric.lower:.6g}",  # noqa: RUF001 - an empty cell
        "–" if metric.upper is None else f"{metric.upper:.6g}",  # noqa: RUF001 - an empty cell
        _line(metric.bound) or "none",
        _line(metric.dataset) or "training run",
        _line(metric.evidence) or "none",
    )
    return f"| {' | '.join(cells)} |\n"


def _limits(manifest: Manifest) -> str:
    unbounded = [
        name
        for name, metric in manifest.metrics.items()
        if metric.lower is None and metric.upper is None
    ]
    items = [_line(limit) for limit in manifest.about.limits]
    items.append(
        f"Trained on {manifest.data.examples} examples from one generator"
        f" ({_line(manifest.data.generator)}); inputs that do not look like them"
        " were not part of training."
    )
    if unbounded:
        names = ", ".join(_line(name) for name in unbounded)
        items.append(f"Without bounds, so not evidence of quality: {names}.")
    items.append(
        f"Fits `{manifest.base.ref}` of digest `{manifest.base.digest}` alone;"
        " on another base of the same shape it loads, untested."
    )
    return "## Known limits\n\n" + "".join(f"- {item}\n" for item in items)


def _safety(manifest: Manifest) -> str:
    stated = manifest.about.safety or (
        "No red-team result is part of this card. Treat outputs as unchecked text:"
        " validate their form, and do not rely on refusals."
    )
    return f"## Safety\n\n{stated}\n"


def _reproduce(manifest: Manifest) -> str:
    return (
        "## How to reproduce\n\n"
        f"{_block(manifest.command)}\n\n"
        f"Seed {manifest.seed}. Rounding differs between processors and library"
        " versions, so the weights' digest may differ elsewhere.\n"
    )


def _digests(manifest: Manifest) -> str:
    rows = {
        "adapter (over the files that are served)": manifest.digest,
        WEIGHTS: manifest.files[WEIGHTS],
        CONFIG: manifest.files[CONFIG],
        "data": manifest.data.digest,
        "config": manifest.config_digest,
        f"base {manifest.base.ref}": manifest.base.digest,
    }
    table = "".join(f"| {name} | `{digest}` |\n" for name, digest in rows.items())
    return f"## Digests\n\n| Of | sha256 |\n|---|---|\n{table}"
