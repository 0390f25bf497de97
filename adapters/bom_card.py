"""The model card inside an ML-BOM: CycloneDX's `modelCard`, from the manifest."""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from adapters.claims import Cost, Data, Method, Metric, Source
from adapters.iris import is_link
from adapters.manifest import Manifest

_APPROACHES: Final[Mapping[Method, str]] = {
    "sft": "supervised",
    "dpo": "supervised",
    "orpo": "supervised",
    "rloo": "reinforcement-learning",
}
"""Pairs of answers are labels, too: nothing is sampled while training on them."""


def model_card(manifest: Manifest) -> dict[str, Any]:
    """Describe how a model was made, what was measured of it, and what to mind."""
    card: dict[str, Any] = {
        "modelParameters": {
            "approach": {"type": _APPROACHES[manifest.method]},
            "task": "text-generation",
            "architectureFamily": "transformer",
            "modelArchitecture": _architecture(manifest),
            "datasets": _datasets(manifest.data),
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        },
        "considerations": _considerations(manifest),
        "properties": properties({**_settings(manifest), **_evidence(manifest)}),
    }
    if manifest.metrics:
        measured = [_metric(name, each) for name, each in manifest.metrics.items()]
        card["quantitativeAnalysis"] = {"performanceMetrics": measured}
    return card


def properties(values: Mapping[str, object]) -> list[dict[str, str]]:
    """List values as CycloneDX's properties: texts as they are, others as JSON."""
    return [
        {"name": f"wastegate:{name}", "value": _text(value)}
        for name, value in values.items()
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _architecture(manifest: Manifest) -> str:
    if manifest.r is None:
        return f"tune of {manifest.base.ref}"
    return f"LoRA of rank {manifest.r} on {manifest.base.ref}"


def _datasets(data: Data) -> list[dict[str, Any]]:
    whole = {
        "digest": data.digest,
        "examples": data.examples,
        "languages": ", ".join(data.languages),
    }
    made = {
        "type": "dataset",
        "name": data.generator,
        "contents": {"properties": properties(whole)},
    }
    return [made, *map(_dataset, data.sources)]


def _dataset(source: Source) -> dict[str, Any]:
    said: dict[str, object] = {
        "licence": source.licence,
        "consent": source.consent,
        "region": source.region,
        "languages": ", ".join(source.languages),
        "digest": source.digest,
        "examples": source.examples,
        "url": source.url,
    }
    contents: dict[str, Any] = {
        "properties": properties(
            {name: value for name, value in said.items() if value not in (None, "")}
        )
    }
    if is_link(source.url):
        contents["url"] = source.url
    dataset: dict[str, Any] = {
        "type": "dataset",
        "name": source.name,
        "contents": contents,
    }
    if source.classification:
        dataset["classification"] = source.classification
    if source.personal_data:
        dataset["sensitiveData"] = [source.personal_data]
    if source.owner:
        dataset["governance"] = {"owners": [{"organization": {"name": source.owner}}]}
    return dataset


def _metric(name: str, metric: Metric) -> dict[str, Any]:
    dataset = metric.dataset or "training run"
    slice_ = (dataset, f"n = {metric.n}", metric.bound)
    told: dict[str, Any] = {
        "type": name,
        "value": _text(metric.value),
        "slice": "; ".join(part for part in slice_ if part),
    }
    bounds = {"lowerBound": metric.lower, "upperBound": metric.upper}
    interval = {side: _text(at) for side, at in bounds.items() if at is not None}
    if interval:
        told["confidenceInterval"] = interval
    return told


def _considerations(manifest: Manifest) -> dict[str, Any]:
    about = manifest.about
    told: dict[str, Any] = {"technicalLimitations": list(_limits(manifest))}
    if about.users:
        told["users"] = list(about.users)
    if about.intended_use:
        told["useCases"] = [about.intended_use]
    if about.safety:
        told["ethicalConsiderations"] = [
            {"name": "Safety posture", "mitigationStrategy": about.safety}
        ]
    if manifest.cost is not None:
        told["environmentalConsiderations"] = _environment(manifest.cost)
    return told


def _limits(manifest: Manifest) -> Iterable[str]:
    if not manifest.servable:
        yield f"Not servable: {manifest.not_servable_because}"
    yield from manifest.about.limits
    base = manifest.base
    yield f"Fits {base.ref} of digest {base.digest} alone."
    for name, metric in manifest.metrics.items():
        if metric.lower is None and metric.upper is None:
            yield f"Without bounds, so not evidence of quality: {name}."


def _environment(cost: Cost) -> dict[str, Any]:
    told: dict[str, object] = {
        "training_seconds": cost.seconds,
        "hardware": cost.hardware,
        "energy_reckoned": cost.reckoned,
    }
    known = {name: value for name, value in told.items() if value != ""}
    environment: dict[str, Any] = {"properties": properties(known)}
    if cost.energy_kwh is not None:
        energy = {"value": cost.energy_kwh, "unit": "kWh"}
        # The schema demands a provider; nobody has asked who it was.
        provider = {
            "organization": {"name": "unknown"},
            "energySource": "unknown",
            "energyProvided": energy,
        }
        environment["energyConsumptions"] = [
            {
                "activity": "fine-tuning",
                "energyProviders": [provider],
                "activityEnergyCost": energy,
            }
        ]
    return environment


def _settings(manifest: Manifest) -> dict[str, object]:
    shape: dict[str, object] = {
        "r": manifest.r,
        "lora_alpha": manifest.lora_alpha,
        "target_modules": ", ".join(manifest.target_modules),
    }
    return {
        "method": manifest.method,
        **({} if manifest.r is None else shape),
        "dtype": manifest.dtype,
        "seed": manifest.seed,
        **dict(_leaves("config", manifest.config)),
    }


def _leaves(name: str, value: object) -> Iterable[tuple[str, object]]:
    """Name each setting by its path: config.stages[0].optim.learning_rate."""
    if isinstance(value, dict) and value:
        for key, inner in cast("dict[str, object]", value).items():
            yield from _leaves(f"{name}.{key}", inner)
        return
    items = cast("list[object]", value) if isinstance(value, list) else []
    if any(isinstance(each, dict) for each in items):
        for index, inner in enumerate(items):
            yield from _leaves(f"{name}[{index}]", inner)
    else:
        yield name, value


def _evidence(manifest: Manifest) -> dict[str, object]:
    return {
        f"evidence.{name}": metric.evidence
        for name, metric in manifest.metrics.items()
        if metric.evidence
    }
