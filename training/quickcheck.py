"""A quick look at an adapter: greedy answers to held-out examples, judged strictly.

It decides whether a run went wrong, and its numbers go into the manifest with their n.
What may be claimed of an adapter is measured by `evals` on the served model.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from structured.check import check
from structured.outcome import Accepted
from structured.schema import Schema, compile_schema
from training import base, examples, models
from training.bounds import exact_bounds
from training.data.generate import generate
from training.encode import prompt_text
from training.errors import DataError
from training.examples import Example

MAX_NEW_TOKENS: Final = 120
"""Twice the longest right answer."""

BATCH: Final = 8
SCHEMA: Final = Path("schemas/assist.json")


class Answer(msgspec.Struct, frozen=True):
    """One answer and what is right about it."""

    id: str
    text: str
    tokens: int
    adheres: bool
    status_right: bool
    citations_right: bool
    value_right: bool


class Share(msgspec.Struct, frozen=True):
    """A share with its n and its exact 95 % bounds, two-sided."""

    value: float
    n: int
    lower: float
    upper: float


class Report(msgspec.Struct, frozen=True):
    """The look's result."""

    dataset: str
    shares: dict[str, Share]
    tokens_per_output: float
    answers: tuple[Answer, ...]


def look(
    *,
    base_dir: Path,
    adapter_dir: Path | None,
    limit: int,
    skip: int = 0,
    held_out: Path | None = None,
) -> Report:
    """Ask held-out examples and judge the answers.

    Args:
        base_dir: the prepared base.
        adapter_dir: the adapter; None asks the base alone.
        limit: how many examples.
        skip: leave out so many at the start.
        held_out: JSON lines of examples, spread over which `limit` are asked; None
            takes the first of the generated test split.

    Raises:
        BaseError: the base is not there. DataError: the examples are not, or broken.
    """
    model, tokenizer = load(base_dir, adapter_dir)
    asked = generate("test")[skip : skip + limit]
    dataset = f"generated test split, {skip}..{skip + limit - 1}"
    if held_out is not None:
        whole = examples.load(held_out)[skip:]
        asked = examples.spread(whole, limit)
        dataset = f"{held_out.name}, {len(asked)} of {len(whole)}, spread"
    texts = answer_all(model, tokenizer, asked)
    schema = compile_schema(SCHEMA.read_bytes(), name="assist")
    answers = tuple(
        judge(example, text, tokens, schema, finished=finished)
        for example, (text, tokens, finished) in zip(asked, texts, strict=True)
    )
    return summarise(answers, asked, dataset)


def load(base_dir: Path, adapter_dir: Path | None) -> tuple[Any, Any]:
    """Base with or without an adapter, for inference in float32."""
    base.verify(base_dir)
    model, tokenizer = models.load_base(base_dir, seed=0)
    if adapter_dir is not None:
        model = models.continued(model, adapter_dir)
    return model.eval(), tokenizer


def answer_all(
    model: Any, tokenizer: Any, asked: Sequence[Example], *, temperature: float = 0.0
) -> list[tuple[str, int, bool]]:
    """Answers: text, tokens (end token included), whether it ended by itself.

    Greedy at temperature 0; above it drawn from torch's generator, which the caller
    seeds.
    """
    import torch  # noqa: PLC0415 - heavy

    tokenizer.padding_side = "left"
    order = sorted(
        range(len(asked)), key=lambda i: len(prompt_text(tokenizer, asked[i].input))
    )
    done: list[tuple[str, int, bool]] = [("", 0, False)] * len(asked)
    end = int(tokenizer.eos_token_id)
    how: dict[str, Any] = {"do_sample": False}
    if temperature:
        how = {"do_sample": True, "temperature": temperature}
    for start in range(0, len(order), BATCH):
        chunk = order[start : start + BATCH]
        prompts = [prompt_text(tokenizer, asked[i].input) for i in chunk]
        batch = tokenizer(
            prompts, add_special_tokens=False, padding=True, return_tensors="pt"
        ).to(model.device)
        with torch.no_grad():
            output = model.generate(**batch, max_new_tokens=MAX_NEW_TOKENS, **how)
        width = batch["input_ids"].shape[1]
        for row, index in zip(output.tolist(), chunk, strict=True):
            made = row[width:]
            finished = end in made
            kept = made[: made.index(end)] if finished else made
            text = tokenizer.decode(kept, skip_special_tokens=False)
            done[index] = (text, len(kept) + finished, finished)
    return done


def judge(
    example: Example, text: str, tokens: int, schema: Schema, *, finished: bool
) -> Answer:
    """Judge one answer as the gateway would, without repair."""
    result = check(
        text.encode(),
        schema,
        context_ids=example.input.context_ids,
        finish_reason="stop" if finished else "length",
        repair=False,
    )
    value: Any = result.value if isinstance(result, Accepted) else {}
    right = example.output
    return Answer(
        id=example.id,
        text=text,
        tokens=tokens,
        adheres=isinstance(result, Accepted),
        status_right=value.get("status") == right.status,
        citations_right=sorted(value.get("citations", ["?"]))
        == sorted(right.citations),
        value_right=_same_value(right.answer, str(value.get("answer", ""))),
    )


def summarise(
    answers: Sequence[Answer], asked: Sequence[Example], dataset: str
) -> Report:
    """Shares over all answers, and the value's over those with one value to find."""
    valued = [
        answer
        for answer, example in zip(answers, asked, strict=True)
        if example.output.status == "ok" and example.id.endswith(("-value", "-label"))
    ]
    refusals = [
        answer
        for answer, example in zip(answers, asked, strict=True)
        if example.output.status == "refused"
    ]
    shares = {
        "schema_adherence": _share([a.adheres for a in answers]),
        "status_right": _share([a.status_right for a in answers]),
        "citations_right": _share([a.citations_right for a in answers]),
        "refused_when_due": _share([a.status_right for a in refusals]),
        "value_right": _share([a.value_right for a in valued]),
    }
    mean = sum(answer.tokens for answer in answers) / max(1, len(answers))
    return Report(dataset, shares, round(mean, 2), tuple(answers))


def _same_value(right: str, given: str) -> bool:
    """Whether an answer holds the right one's numbers, or its last word if none."""
    numbers = set(re.findall(r"\d+", right))
    if numbers:
        return numbers <= set(re.findall(r"\d+", given))
    return right.rstrip(".").split()[-1].lower() in given.lower()


def _share(flags: Sequence[bool]) -> Share:
    n = len(flags)
    if not n:
        return Share(0.0, 0, 0.0, 1.0)
    lower, upper = exact_bounds(sum(flags), n)
    return Share(round(sum(flags) / n, 4), n, round(lower, 4), round(upper, 4))


def write(path: Path, report: Report) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")


def read(path: Path) -> Report:
    """Read a report.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Report)
    except (OSError, msgspec.MsgspecError) as error:
        raise DataError(f"{path} is no report of `training check`: {error}") from error
