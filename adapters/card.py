"""The model card, rendered from the manifest: no number in it is typed by hand.

A Hugging Face card (https://huggingface.co/docs/hub/model-cards): front matter
(`adapters.card_front`), then text. Values from the manifest are data, so each is quoted
for the place where it is put.
"""

import json
from pathlib import Path
from typing import Any, Final

from adapters.card_front import front_matter
from adapters.claims import Source
from adapters.files import write_atomic
from adapters.manifest import CARD, CONFIG, WEIGHTS, Manifest, Metric, load
from adapters.verdict import EvalVerdict

_METHODS: Final = {
    "sft": "Supervised fine-tuning (SFT): the loss is on the answer's tokens.",
    "dpo": "Direct preference optimisation (DPO) on pairs of answers.",
    "orpo": "Odds-ratio preference optimisation (ORPO): answers and pairs in one loss.",
    "rloo": "Reinforcement learning (RLOO): sampled answers, judged by a reward.",
}


def render(manifest: Manifest) -> str:
    """Render the card of an adapter: Markdown with YAML front matter."""
    sections = (
        _title(manifest),
        _intended_use(manifest),
        _data(manifest),
        _method(manifest),
        *_cost(manifest),
        _evals(manifest),
        _limits(manifest),
        _safety(manifest),
        _reproduce(manifest),
        _digests(manifest),
    )
    return front_matter(manifest) + "\n" + "\n".join(sections)


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
        f"A tune of {base}."
        if manifest.r is None
        else f"A LoRA adapter of rank {manifest.r} for {base}."
    )
    warning = (
        ""
        if manifest.servable
        else f"> **Not servable.** {_line(manifest.not_servable_because)}\n\n"
    )
    return (
        f"# {manifest.ref}\n\n{warning}{summary}\n\n"
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
        f" sha256 `{data.digest}`.\n{_sources(data.sources)}"
    )


def _sources(sources: tuple[Source, ...]) -> str:
    if not sources:
        return ""
    rows = "".join(
        f"| {' | '.join(_line(cell) or 'unsaid' for cell in _source(each))} |\n"
        for each in sources
    )
    return (
        "\n| Source | Licence | Consent | Region | Personal data | Languages"
        " | Examples |\n|---|---|---|---|---|---|---|\n"
        f"{rows}"
    )


def _source(source: Source) -> tuple[str, ...]:
    name = f"{source.name} ({source.url})" if source.url else source.name
    examples = "" if source.examples is None else str(source.examples)
    governed = (source.licence, source.consent, source.region, source.personal_data)
    return (name, *governed, ", ".join(source.languages), examples)


def _method(manifest: Manifest) -> str:
    parent = f" Training started from `{manifest.parent}`." if manifest.parent else ""
    lora: dict[str, Any] = {
        "rank": manifest.r,
        "lora_alpha": manifest.lora_alpha,
        "target modules": ", ".join(manifest.target_modules),
    }
    rows: dict[str, Any] = {
        **({} if manifest.r is None else lora),
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


def _cost(manifest: Manifest) -> list[str]:
    cost = manifest.cost
    if cost is None:
        return []
    hardware = f" on {_line(cost.hardware)}" if cost.hardware else ""
    energy = (
        "Its energy is not known."
        if cost.energy_kwh is None
        else f"About {cost.energy_kwh:.3g} kWh ({_line(cost.reckoned)})."
    )
    return [f"## Cost\n\nTraining took {cost.seconds:.0f} s{hardware}. {energy}\n"]


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
    first = [name for name in (WEIGHTS, CONFIG) if name in manifest.files]
    rows = {
        "adapter (over the files that are served)": manifest.digest,
        **{name: manifest.files[name] for name in (*first, *manifest.files)},
        "data": manifest.data.digest,
        "config": manifest.config_digest,
        f"base {manifest.base.ref}": manifest.base.digest,
    }
    table = "".join(f"| {name} | `{digest}` |\n" for name, digest in rows.items())
    return f"## Digests\n\n| Of | sha256 |\n|---|---|\n{table}"
