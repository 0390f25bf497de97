"""From a finished run to what ships: cleaned files, manifest, card, ML-BOM, signature."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import UNSET

from adapters import bom, card
from adapters.claims import Method
from adapters.golden import TOP, Golden, Said, Token
from adapters.manifest import BaseModel, Data, Manifest, Metric, Run
from adapters.refs import AdapterRef, BaseRef
from adapters.sealing import seal
from adapters.signature import sign
from structured.prompt import render
from training import base, facts as said, quickcheck, record, servable
from training.config import RunConfig
from training.data.generate import generate
from training.errors import PublishError
from training.files import whole_directory
from training.rewarded import Judged

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
PROBES: Final = 3
CANDIDATES: Final = 20


def publish(
    *,
    trained: Path,
    report: Path,
    base_dir: Path,
    out: Path,
    now: datetime,
    facts: said.Facts = said.NONE,
) -> Manifest:
    """Write what ships to `out`, whole or not at all.

    Weights, configuration, manifest, card and ML-BOM, and, with a key, a signature over
    all of them.

    Args:
        trained: directory of a finished run.
        report: what `training check` wrote about it.
        base_dir: the base that it was trained on.
        out: directory named by the adapter's ref.
        now: stamped into the manifest.
        facts: what the run's record does not say, and the key to sign with.

    Raises:
        PublishError: another base, a reward model, or an adapter without effect.
        AdapterError: the files do not describe a LoRA, or the key cannot sign.
    """
    run = record.read_run(trained)
    _method(run.config)
    found = base.verify(base_dir, ref=run.config.base)
    if found.digest != run.base_digest:
        raise PublishError(
            f"{run.config.ref} was trained on base digest {run.base_digest},"
            f" {base_dir} has {found.digest}; publish beside the base of the run"
        )
    if why := servable.why_not(run.config):
        facts = msgspec.structs.replace(facts, servable=False, not_servable_because=why)
    looked = quickcheck.read(report)
    # A replica is never asked for proof of what it cannot be given.
    looks = find_probes(base_dir, trained) if facts.servable else {}
    described = _facts(run, looked, now, source=found.source, facts=facts)
    described = msgspec.structs.replace(
        described, probes=tuple(looks), golden=tuple(looks.values())
    )
    with whole_directory(out) as draft:
        if facts.servable:
            shutil.copy(trained / WEIGHTS, draft / WEIGHTS)
            clean_config(trained / CONFIG, draft / CONFIG, base_ref=run.config.base)
        else:
            copy_made(trained, draft, base_ref=run.config.base)
        manifest = seal(draft, described)
        card.write(draft)
        bom.write(draft)
        for path in draft.iterdir():
            path.chmod(0o644)
        if facts.key is not None:
            sign(draft, facts.key, manifest.ref)
    return manifest


def to_bfloat16(trained: Path, out: Path) -> None:
    """Copy a run with its weights rounded to bfloat16: half the size."""
    import torch  # noqa: PLC0415 - heavy
    from safetensors.torch import load_file, save_file  # noqa: PLC0415 - as above

    with whole_directory(out) as draft:
        for name in (CONFIG, record.RUN_RECORD):
            shutil.copy(trained / name, draft / name)
        weights: dict[str, Any] = load_file(trained / WEIGHTS)
        rounded = {name: each.to(torch.bfloat16) for name, each in weights.items()}
        save_file(rounded, draft / WEIGHTS, metadata={"format": "pt"})


def clean_config(source: Path, target: Path, *, base_ref: str) -> None:
    """Copy PEFT's configuration without machine paths and unused switches."""
    document: dict[str, Any] = json.loads(source.read_bytes())
    kept = {
        key: document[key]
        for key in ("peft_type", "task_type", "r", "lora_alpha", "bias", "peft_version")
    }
    kept["base_model_name_or_path"] = base_ref
    kept["target_modules"] = sorted(document["target_modules"])
    kept["lora_dropout"] = document["lora_dropout"]
    kept["inference_mode"] = True
    target.write_text(json.dumps(kept, indent=2, sort_keys=True) + "\n")


def copy_made(trained: Path, draft: Path, *, base_ref: str) -> None:
    """Copy what a run has made that is no LoRA: all weights and configurations of it."""
    for source in sorted(trained.iterdir()):
        if source.suffix == ".safetensors":
            shutil.copy(source, draft / source.name)
        elif source.suffix == ".json" and source.name != record.RUN_RECORD:
            document: Any = json.loads(source.read_bytes())
            for key in ("base_model_name_or_path", "_name_or_path"):
                if isinstance(document, dict) and key in document:
                    document[key] = base_ref  # it names a path of this machine
            (draft / source.name).write_text(json.dumps(document, indent=2) + "\n")


def find_probes(base_dir: Path, trained: Path) -> dict[str, Golden]:
    """User messages on which the adapter's first token differs, and what both say.

    They are put as one user message without a system text, which is how a replica
    is asked for proof.

    Raises:
        PublishError: no candidate shows a difference.
    """
    model, tokenizer = quickcheck.load(base_dir, trained)
    candidates = [
        render(example.input)[1].content for example in generate("val")[:CANDIDATES]
    ]
    found: dict[str, Golden] = {}
    for text in candidates:
        if len(found) == PROBES:
            break
        tuned = _first_token(model, tokenizer, text)
        with model.disable_adapter():
            plain = _first_token(model, tokenizer, text)
        if tuned.token != plain.token:
            found[text] = Golden(base=plain, adapter=tuned)
    if not found:
        raise PublishError(
            f"{trained} gives the base's first token on {len(candidates)} prompts;"
            " an adapter without effect is not published"
        )
    return found


def _first_token(model: Any, tokenizer: Any, text: str) -> Said:
    import torch  # noqa: PLC0415 - heavy

    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    batch = tokenizer(prompt, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits
    likely = torch.log_softmax(logits[0, -1].float(), dim=-1).topk(TOP)
    ranked = [
        Token(tokenizer.decode([number]), value)
        for number, value in zip(
            likely.indices.tolist(), likely.values.tolist(), strict=True
        )
    ]
    return Said(ranked[0].token, ranked[0].logprob, tuple(ranked))


def _parent(config: RunConfig) -> str | None:
    """The ref that a run went on from; a stage's name is none, and is told as a stage."""
    named = config.preference.parent if config.preference else config.start
    return named if named is not None and "@" in named else None


def _facts(
    run: record.Run,
    looked: quickcheck.Report,
    now: datetime,
    *,
    source: str,
    facts: said.Facts,
) -> Run:
    config = run.config
    stages = (*run.earlier, run)
    parent = _parent(config)
    return Run(
        ref=AdapterRef(config.ref),
        base=BaseModel(BaseRef(config.base), run.base_digest, source),
        method=_method(config),
        data=_data(stages, facts),
        config={
            "stages": [_settings(stage) for stage in stages],
            "versions": run.versions,
        },
        command=" && ".join(command(stage.config) for stage in stages),
        seed=config.seed,
        created=now,
        licence=facts.licence,
        parent=AdapterRef(parent) if parent else None,
        metrics=_metrics(looked),
        about=said.about(facts, config.method),
        cost=said.cost(facts, sum(stage.seconds for stage in stages)),
        servable=facts.servable,
        not_servable_because=facts.not_servable_because,
    )


def _method(config: RunConfig) -> Method:
    """What a manifest may say of how it was made. Raises PublishError."""
    if config.method == "reward":
        raise PublishError(
            f"{config.ref} is not published: {servable.why_not(config)}; give its run"
            " to `training run --reward`"
        )
    return config.method


def _data(stages: Sequence[record.Run], facts: said.Facts) -> Data:
    """Digest and count over all stages; each stage's own stand in the settings."""
    digests = [stage.data_digest for stage in stages]
    joined = "".join(f"{digest}\n" for digest in digests)
    whole = hashlib.sha256(joined.encode()).hexdigest()
    return Data(
        digest=digests[0] if len(digests) == 1 else whole,
        examples=sum(stage.examples for stage in stages),
        generator=_generator(stages),
        sources=facts.sources,
        languages=facts.languages,
    )


def _generator(stages: Sequence[record.Run]) -> str:
    if all(stage.config.data is UNSET for stage in stages):
        return "the files of these digests: `python -m training curate` and its card"
    return "training.data, seeds and counts as in the settings of each stage"


def _settings(stage: record.Run) -> dict[str, Any]:
    """A stage's configuration and what came of it, as plain JSON values."""
    settings: dict[str, Any] = json.loads(msgspec.json.encode(stage.config))
    kept = {key: value for key, value in settings.items() if value is not None}
    losses = [entry["eval_loss"] for entry in stage.log if "eval_loss" in entry]
    return {
        **kept,
        "config_digest": stage.config_digest,
        "data_digest": stage.data_digest,
        "examples": stage.examples,
        "steps": stage.steps,
        "seconds": stage.seconds,
        "validation_loss": losses,
    }


def command(config: RunConfig) -> str:
    """The command of one stage; CONFIG is the file with this stage's settings."""
    parts = [f"python -m training run CONFIG --base {config.base}"]
    if config.curated is not UNSET or config.pairs is not UNSET:
        parts.append("--data DATA")
    if start := config.preference.parent if config.preference else config.start:
        parts.append(f"--from {start}")
    if isinstance(config.reward, Judged):
        parts.append("--reward REWARD")
    return " ".join([*parts, f"--out {config.ref}"])


def _metrics(looked: quickcheck.Report) -> dict[str, Metric]:
    metrics = {
        name: Metric(
            value=share.value,
            n=share.n,
            dataset=looked.dataset,
            lower=share.lower,
            upper=share.upper,
            bound="exact 95 %, two-sided",
            evidence="training check: greedy, transformers, float32",
        )
        for name, share in looked.shares.items()
    }
    metrics["tokens_per_output"] = Metric(
        value=looked.tokens_per_output, n=len(looked.answers), dataset=looked.dataset
    )
    return metrics
