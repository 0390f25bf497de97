"""From a finished run to what ships: cleaned files, manifest, card."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from adapters import card
from adapters.golden import TOP, Golden, Said, Token
from adapters.manifest import About, BaseModel, Data, Manifest, Metric, Run, seal
from adapters.refs import AdapterRef, BaseRef
from structured.prompt import render
from training import base, quickcheck, record
from training.config import RunConfig
from training.data.generate import generate
from training.errors import PublishError
from training.files import whole_directory

WEIGHTS: Final = "adapter_model.safetensors"
CONFIG: Final = "adapter_config.json"
PROBES: Final = 3
CANDIDATES: Final = 20


def publish(
    *, trained: Path, report: Path, base_dir: Path, out: Path, now: datetime
) -> Manifest:
    """Write the adapter's four files to `out`, whole or not at all.

    Args:
        trained: directory of a finished run.
        report: what `training check` wrote about it.
        base_dir: the base that it was trained on.
        out: directory named by the adapter's ref.
        now: stamped into the manifest.

    Raises:
        PublishError: another base, or an adapter without effect.
        AdapterError: the files do not describe a LoRA.
    """
    run = record.read_run(trained)
    found = base.verify(base_dir, ref=run.config.base)
    if found.digest != run.base_digest:
        raise PublishError(
            f"{run.config.ref} was trained on base digest {run.base_digest},"
            f" {base_dir} has {found.digest}; publish beside the base of the run"
        )
    looked = quickcheck.read(report)
    looks = find_probes(base_dir, trained)
    with whole_directory(out) as draft:
        shutil.copy(trained / WEIGHTS, draft / WEIGHTS)
        clean_config(trained / CONFIG, draft / CONFIG, base_ref=run.config.base)
        facts = _facts(run, looked, looks, now, source=found.source)
        manifest = seal(draft, facts)
        card.write(draft)
        for path in draft.iterdir():
            path.chmod(0o644)
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


def _facts(
    run: record.Run,
    looked: quickcheck.Report,
    looks: Mapping[str, Golden],
    now: datetime,
    *,
    source: str,
) -> Run:
    config = run.config
    stages = (*run.earlier, run)
    parent = config.preference.parent if config.preference else None
    return Run(
        ref=AdapterRef(config.ref),
        base=BaseModel(BaseRef(config.base), run.base_digest, source),
        method=config.method,
        data=_data(stages),
        config={
            "stages": [_settings(stage) for stage in stages],
            "versions": run.versions,
        },
        command=" && ".join(_command(stage.config) for stage in stages),
        seed=config.seed,
        created=now,
        licence="Apache-2.0",
        parent=AdapterRef(parent) if parent else None,
        metrics=_metrics(looked),
        probes=tuple(looks),
        golden=tuple(looks.values()),
        about=_about(config.method),
    )


def _data(stages: Sequence[record.Run]) -> Data:
    """Digest and count over all stages; each stage's own stand in the settings."""
    digests = [stage.data_digest for stage in stages]
    joined = "".join(f"{digest}\n" for digest in digests)
    whole = hashlib.sha256(joined.encode()).hexdigest()
    return Data(
        digest=digests[0] if len(digests) == 1 else whole,
        examples=sum(stage.examples for stage in stages),
        generator="training.data, seeds and counts as in the settings of each stage",
    )


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


def _command(config: RunConfig) -> str:
    """The command of one stage; the runs in between are written to RUNS."""
    if config.preference:
        return (
            "python -m training dpo --config training/configs/dpo.toml --base BASE"
            f" --parent models/{config.preference.parent} --out RUNS/dpo"
        )
    name = "sft-wide" if config.start else "sft"
    start = f" --start RUNS/{config.start}" if config.start else ""
    return (
        f"python -m training sft --config training/configs/{name}.toml --base BASE"
        f"{start} --out RUNS/{name}"
    )


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


def _about(method: str) -> About:
    what = {
        "sft": "Answers a request from numbered passages as one compact JSON object:"
        " status, answer, citations.",
        "dpo": "As its parent, and briefer: it prefers the bare value to a sentence.",
    }[method]
    return About(
        summary=what,
        intended_use=(
            "Behind a gateway that validates its output, with retrieved passages as"
            " the context. It holds no facts of its own: products and values in its"
            " training data are invented."
        ),
        limits=(
            "English only; contexts of up to four short passages; one turn.",
            (
                "Training and test data come from one generator (disjoint wording and"
                " subjects); requests of real people will be harder."
            ),
            "A base of 135 million parameters: it copies well and reasons badly.",
        ),
        safety=(
            "Refusals were learnt from some seventy phrasings over eight policy"
            " areas. It is no safety filter: requests worded differently may pass,"
            " and harmless ones may be refused."
        ),
    )
