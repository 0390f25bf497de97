"""The lab's steps, in order: what each runs, what it leaves, and why it is there.

Every step is a command that anybody can type; the lab adds no way of its own.
"""

from pathlib import Path
from typing import Final

import msgspec

TRAIN: Final = ".venv-trainer/bin/python -m training"
EVALS: Final = ".venv/bin/python -m evals"
BENCH: Final = ".venv/bin/python -m bench"
WASTEGATE: Final = ".venv/bin/wastegate"
BASE: Final = "var/models/smollm2-135m-instruct@1.0"
HOME: Final = Path("var/lab")

LORA: Final = "acme-lab-lora@v1"
PREF: Final = "acme-lab-pref@v1"
DATA: Final = "Data"
TUNED: Final = "A supervised adapter"
PREFERRED: Final = "A preferred adapter"
RELEASE: Final = "The release"
SCALE: Final = 0.2
"""Of the suite: 483 samples to each; 381 s for all three on two cores."""
JUDGED: Final = (0, 1, 3)
"""Exit codes of the suite: the adapters may ship, may not, or it is not known."""
RELEASED: Final = (0, 3)
"""Exit codes of the canary: promoted, or rolled back, which is an end as well."""


class Step(msgspec.Struct, frozen=True):
    """One step."""

    name: str
    part: str
    """What it is a part of, for the story."""
    title: str
    why: str
    """A sentence for the story; `…` stands for code."""
    command: str
    makes: tuple[Path, ...] = ()
    """Without any, the step is repeated each time: it takes no more than seconds."""
    into: Path | None = None
    """Where its answer goes; without one, to the terminal and the log."""
    fine: tuple[int, ...] = (0,)
    """Exit codes that are no failure."""
    pictures: tuple[Path, ...] = ()
    shares: Path | None = None
    """A check's report, whose shares the story tells."""


def prepare(home: Path) -> tuple[Step, ...]:
    """Data, a supervised adapter, a preferred one, both judged."""
    return (*_data(home), *_sft(home), *_pref(home))


def release(home: Path, candidate: str) -> tuple[Step, ...]:
    """The canary of what was judged the better: `candidate` is `GENERATOR=REF`."""
    out, samples = home / "canary.md", home / "questions.jsonl"
    return (
        Step(
            "questions",
            RELEASE,
            "Traffic",
            "Questions for the canary's clients, none of them twice: the same question at"
            " temperature 0 would be the same trial.",
            f"{TRAIN} data --split test --count 3000 --out {samples}",
            makes=(samples,),
        ),
        Step(
            "canary",
            RELEASE,
            "Pre-flight, staging, canary, ramp",
            "Sixteen clients ask, and the gateway moves the tenant by evidence alone:"
            " harm rolls back, proof of good promotes. Evals that fail stop a rollout"
            " in its pre-flight; the reason for going on is on record.",
            f"{BENCH} canary --candidate {candidate} --samples {samples} --out {out}",
            makes=(out, out.with_suffix(".json")),
            fine=RELEASED,
        ),
    )


def _data(home: Path) -> tuple[Step, ...]:
    data = home / "data"
    return (
        Step(
            "raw",
            DATA,
            "Raw examples",
            "5,200 examples and 500 preference pairs, drawn from words: behaviour and"
            " no facts, so no answer can be known without its passages.",
            f"{TRAIN} raw --out {home}/raw",
            makes=(home / "raw/raw.jsonl", home / "raw/pairs.jsonl"),
        ),
        Step(
            "curate",
            DATA,
            "Curation",
            "Licence and consent, personal data, near-duplicates within and across"
            " splits, a hold-out by date, as many of each intent.",
            f"{TRAIN} curate {home}/raw/raw.jsonl"
            f" --config training/assistant/curation.toml --out {data}",
            makes=(data / "train.jsonl", data / "test.jsonl"),
            pictures=(data / "funnel.svg",),
        ),
        Step(
            "leakage",
            DATA,
            "Leakage",
            "The evals' samples beside the training data: what was seen in training"
            " proves nothing.",
            f"{EVALS} data --out {home}/samples.jsonl --against {data}/train.jsonl",
            makes=(home / "samples.jsonl",),
        ),
    )


def _sft(home: Path) -> tuple[Step, ...]:
    return (
        Step(
            "sft",
            TUNED,
            "Supervised tuning",
            "A LoRA of rank 16 on half of the examples, once. Looks at loss and answers"
            " choose the weights that are kept.",
            f"{TRAIN} run lab/sft.toml --base {BASE} --data {home}/data"
            f" --out {home}/sft",
            makes=(home / "sft/run.json",),
            pictures=(home / "sft/curves.svg",),
        ),
        *_published(home, TUNED, "sft", LORA),
        *_mounted(home, TUNED, "lora", LORA),
        _judged(home, TUNED, "evals-sft", "base lora"),
        _verdict(home, TUNED, LORA),
    )


def _pref(home: Path) -> tuple[Step, ...]:
    return (
        Step(
            "own",
            PREFERRED,
            "Its own mistakes",
            "The adapter is asked several times; rules rank its answers, and the worst"
            " stands against the best, or against what is right.",
            f"{TRAIN} own --base {BASE} --adapter {home}/sft"
            f" --examples {home}/data/train.jsonl --count 120 --samples 3"
            f" --out {home}/own.jsonl",
            makes=(home / "own.jsonl",),
        ),
        Step(
            "pairs",
            PREFERRED,
            "Preference pairs",
            "Failures that were made up beside those that were seen, in one file that"
            " the run names by its digest.",
            f"{TRAIN} pairs {home}/raw/pairs.jsonl {home}/own.jsonl --limit 120"
            f" --config lab/pref.toml --out {home}/pairs",
            makes=(home / "pairs/pairs.jsonl", home / "pairs/run.toml"),
        ),
        Step(
            "pref",
            PREFERRED,
            "Preference tuning",
            "DPO from the supervised adapter, which is the reference too; a share of"
            " the supervised loss keeps the format.",
            f"{TRAIN} run {home}/pairs/run.toml --base {BASE} --data {home}/pairs"
            f" --from {home}/sft --out {home}/pref",
            makes=(home / "pref/run.json",),
            pictures=(home / "pref/curves.svg",),
        ),
        *_published(home, PREFERRED, "pref", PREF),
        *_mounted(home, PREFERRED, "lora_pref", PREF),
        _judged(home, PREFERRED, "evals", "base lora lora_pref"),
        _verdict(home, PREFERRED, PREF),
    )


def _published(home: Path, part: str, run: str, ref: str) -> tuple[Step, ...]:
    report, out = home / f"{run}-check.json", home / "adapters" / ref
    return (
        Step(
            f"check-{run}",
            part,
            "Held-out examples",
            "Worded as no training example is, asked greedily, judged strictly.",
            f"{TRAIN} check --base {BASE} --adapter {home}/{run}"
            f" --examples {home}/data/test.jsonl --limit 120 --out {report}",
            makes=(report,),
            shares=report,
        ),
        Step(
            f"publish-{run}",
            part,
            "Model card, bill of materials, seal",
            "What it is, where its data is from, what was measured with which bounds,"
            " what it cost; bound to its bytes.",
            f"{TRAIN} publish --run {home}/{run} --check {report} --base {BASE}"
            f" --facts training/assistant/facts.toml --out {out}",
            makes=(out / "manifest.json", out / "README.md", out / "bom.json"),
        ),
    )


def _mounted(home: Path, part: str, generator: str, ref: str) -> tuple[Step, ...]:
    return (
        Step(
            f"add-{generator}",
            part,
            "Registered",
            "A ref stays bound to its bytes for ever.",
            f"{WASTEGATE} adapter add {home}/adapters/{ref}",
        ),
        Step(
            f"mount-{generator}",
            part,
            "Mounted",
            "Loaded on every replica, and proved by what it answers.",
            f"{WASTEGATE} adapter mount {ref} --why lab",
        ),
        Step(
            f"bind-{generator}",
            part,
            "Bound to the flag",
            f"`GENERATOR={generator}` means this adapter from now on.",
            f"{WASTEGATE} adapter bind {generator}={ref} --why lab",
        ),
    )


def _judged(home: Path, part: str, name: str, generators: str) -> Step:
    out = home / f"{name}.md"
    return Step(
        name,
        part,
        "Evals",
        f"The suite at {SCALE:g} of its size, free decoding, every gate with its bound;"
        " verdicts are filed with the gateway.",
        f"{EVALS} suite --generators {generators} --scale {SCALE:g} --file --why lab"
        f" --results {out}",
        makes=(out,),
        fine=JUDGED,
    )


def _verdict(home: Path, part: str, ref: str) -> Step:
    out = verdict_file(home, ref)
    return Step(
        f"verdict-{ref}",
        part,
        "Verdict",
        "As the gateway keeps it.",
        f"{WASTEGATE} adapter verdict {ref} --json",
        into=out,
    )


def verdict_file(home: Path, ref: str) -> Path:
    """Where a verdict is kept, as JSON."""
    return home / f"verdict-{ref}.json"
