"""Gates: what passes, what fails, and what stays open."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from evals import clustered, gates
from evals.answers import Answer, Subject
from evals.clustered import Documents
from evals.errors import SetupError
from evals.gates import Gate, GateFile
from evals.judging import holm, judge, more_needed
from evals.result import Arm, Judged
from evals.samples import Sample
from evals.suite import scored

Make = Callable[..., Sample]
LEAST_99 = Gate(
    suite="behavioural",
    measure="adherence",
    tasks=("grounding",),
    at_least=0.99,
    why="a test",
)


def arm(samples: tuple[Sample, ...], answer: Callable[[int], Answer]) -> Arm:
    answered = {sample.id: answer(i) for i, sample in enumerate(samples)}
    return scored(Subject("lora", "behav@v1"), "free", samples, answered, 0.0)


def answer(verdict: str = "valid", *, tokens: int = 20, status: str = "ok") -> Answer:
    given = Answer("s", "lora", "behav@v1", "valid", status, "Yes.", ("kb-0",))
    return msgspec.structs.replace(given, verdict=verdict, completion_tokens=tokens)


def judged(
    samples: tuple[Sample, ...],
    answers: Callable[[int], Answer],
    baseline: Callable[[int], Answer] | None = None,
    **named: Gate,
) -> Judged:
    base = arm(samples, baseline) if baseline else None
    return judge(GateFile(0.95, named), arm(samples, answers), base, samples)


def made(make: Make, n: int, **more: object) -> tuple[Sample, ...]:
    return tuple(make(f"s{i}", cites=("kb-0",), **more) for i in range(n))


@pytest.mark.parametrize(
    ("n", "failures", "verdict"),
    [
        (298, 0, "inconclusive"),
        (299, 0, "pass"),
        (299, 1, "inconclusive"),
        (650, 2, "pass"),
        (650, 3, "inconclusive"),
        (100, 9, "fail"),
        (10, 10, "fail"),
    ],
)
def test_a_share_passes_by_its_bound_and_not_by_its_estimate(
    make_sample: Make, n: int, failures: int, verdict: str
) -> None:
    found = judged(
        made(make_sample, n),
        lambda i: answer("invalid" if i < failures else "valid"),
        adherence=LEAST_99,
    )
    [finding] = found.findings
    assert (finding.verdict, found.verdict) == (verdict, verdict)
    assert finding.n == n
    assert len(finding.failed) == failures
    assert finding.value == pytest.approx(1 - failures / n)


@pytest.mark.parametrize(("n", "power"), [(650, 0.857), (299, 0.55), (298, 0.0)])
def test_a_gate_says_how_often_it_would_pass_what_is_worth_shipping(
    make_sample: Make, n: int, power: float
) -> None:
    # Reckoned by hand: 0.998 to the power of 299; of 650, at most 2 of 0.002 each.
    found = judged(
        made(make_sample, n), lambda _: answer("invalid"), adherence=LEAST_99
    )
    assert found.findings[0].power == pytest.approx(power, abs=0.001)


def test_the_power_of_a_gate_for_each_of_several_is_that_of_all_together(
    make_sample: Make,
) -> None:
    each = msgspec.structs.replace(LEAST_99, by="locale")
    samples = tuple(
        make_sample(f"s{locale}{i}", cites=("kb-0",), locale=locale)
        for locale in ("en", "de")
        for i in range(299)
    )
    found = judged(samples, lambda _: answer(), adherence=each)
    assert found.findings[0].power == pytest.approx(0.5495**2, abs=0.001)


def test_documents_of_several_samples_have_no_power_that_is_known(
    make_sample: Make,
) -> None:
    samples = tuple(
        make_sample(f"s{i}", cites=("kb-0",), document="one") for i in range(9)
    )
    found = judged(samples, lambda _: answer(), adherence=LEAST_99)
    assert found.findings[0].power is None


def test_an_open_gate_says_how_many_more_it_takes(make_sample: Make) -> None:
    found = judged(
        made(make_sample, 200), lambda i: answer("valid"), adherence=LEAST_99
    )
    assert found.findings[0].says == "takes 99 more, if all of them are right"


@pytest.mark.parametrize(
    ("failures", "n", "more"), [(0, 100, 199), (1, 299, 174), (0, 299, 0)]
)
def test_how_many_more_it_takes_is_as_the_tables_have_it(
    failures: int, n: int, more: int
) -> None:
    means = (0.0,) * failures + (1.0,) * (n - failures)
    assert more_needed(Documents(means, single=True), 0.99, 0.95) == more


@given(st.lists(st.sampled_from([0.5, 0.875, 1.0]), min_size=5, max_size=40))
def test_so_many_more_documents_and_no_fewer_would_prove_it(means: list[float]) -> None:
    documents = Documents(tuple(means), single=False)
    more = more_needed(documents, 0.85, 0.95)
    assert more is not None
    for added, proves in ((more, True), (more - 1, False)):
        if added >= 0:
            grown = Documents((*means, *(1.0,) * added), single=False)
            assert (clustered.against(grown, 0.85) <= 1 - 0.95) == proves


def test_what_nobody_would_ask_is_not_said() -> None:
    hopeless = Documents((0.0,) * 2_500 + (1.0,) * 97_500, single=True)
    assert more_needed(hopeless, 0.99, 0.95) is None


def test_samples_of_one_document_are_one_proof(make_sample: Make) -> None:
    found = judged(
        made(make_sample, 650, document="d1"), lambda _: answer(), adherence=LEAST_99
    )
    assert found.findings[0].n == 1
    assert found.verdict == "inconclusive"


def test_at_most_is_the_same_seen_from_the_other_side(make_sample: Make) -> None:
    gate = Gate(
        suite="behavioural",
        measure="repaired",
        tasks=("grounding",),
        at_most=0.03,
        why="a test",
    )
    for failures, verdict in ((0, "pass"), (1, "inconclusive"), (20, "fail")):
        found = judged(
            made(make_sample, 99),
            lambda i, k=failures: answer("repaired" if i < k else "valid"),
            repair=gate,
        )
        [finding] = found.findings
        assert finding.verdict == verdict
        assert finding.value == pytest.approx(failures / 99)
        assert finding.low is not None
        assert finding.high is not None
        assert finding.low <= failures / 99 <= finding.high


def test_by_a_field_the_worst_of_its_values_decides(make_sample: Make) -> None:
    gate = msgspec.structs.replace(
        LEAST_99, tasks=("locales",), at_least=0.9, by="locale"
    )
    samples = tuple(
        make_sample(f"{locale}-{i}", task="locales", locale=locale)
        for locale in ("en", "de", "fr")
        for i in range(60)
    )
    good = judged(samples, lambda _: answer(), locales=gate)
    assert good.verdict == "pass"
    bad = judged(
        samples,
        lambda i: answer("invalid" if samples[i].locale == "de" else "valid"),
        locales=gate,
    )
    assert bad.verdict == "fail"
    assert bad.findings[0].where == "de"
    assert bad.findings[0].value == 0


def test_without_samples_nothing_is_decided(make_sample: Make) -> None:
    other = msgspec.structs.replace(LEAST_99, tasks=("redteam",))
    each = msgspec.structs.replace(other, by="locale")
    found = judged(made(make_sample, 5), lambda _: answer(), one=other, two=each)
    assert found.verdict == "inconclusive"
    assert [finding.n for finding in found.findings] == [0, 0]


RATIO = Gate(
    suite="performance",
    measure="tokens",
    tasks=("grounding",),
    ratio=(0.75, 0.9),
    why="a test",
)


@pytest.mark.parametrize(
    ("tokens", "verdict"), [(80, "pass"), (100, "fail"), (60, "fail"), (90, None)]
)
def test_tokens_pass_within_the_demanded_ratio_alone(
    make_sample: Make, tokens: int, verdict: str | None
) -> None:
    found = judged(
        made(make_sample, 100),
        lambda i: answer(tokens=tokens + i % 7 - 3),
        lambda i: answer(tokens=100 + i % 5 - 2),
        tokens=RATIO,
    )
    [finding] = found.findings
    assert finding.value == pytest.approx(tokens / 100, rel=0.02)
    assert bool(finding.failed) == (tokens >= 90), "those that took more than 0.9 times"
    if verdict:
        assert finding.verdict == verdict


def test_tokens_are_compared_where_both_are_valid(make_sample: Make) -> None:
    found = judged(
        made(make_sample, 100),
        lambda i: answer("invalid" if i < 10 else "valid", tokens=80 + i % 3),
        lambda i: answer("invalid" if i > 89 else "valid", tokens=100 + i % 5),
        tokens=RATIO,
    )
    assert found.findings[0].n == 80
    assert found.verdict == "pass"


def test_fewer_tokens_for_fewer_tasks_are_no_saving(make_sample: Make) -> None:
    found = judged(
        made(make_sample, 100),
        lambda i: answer(status="ok" if i > 30 else "refused", tokens=80 + i % 3),
        lambda i: answer(tokens=100 + i % 5),
        tokens=RATIO,
    )
    [finding] = found.findings
    assert finding.verdict == "fail"
    assert "fewer tasks" in finding.says


def test_without_a_baseline_tokens_prove_nothing(make_sample: Make) -> None:
    found = judged(made(make_sample, 50), lambda _: answer(), tokens=RATIO)
    assert found.verdict == "inconclusive"


P_VALUES = st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1)


@given(P_VALUES)
def test_holms_p_values_lie_between_the_plain_ones_and_bonferronis(
    given_: Mapping[str, float],
) -> None:
    adjusted = holm(given_)
    for name, p in given_.items():
        assert p <= adjusted[name] <= min(1.0, p * len(given_)) + 1e-12
    ranked = sorted(given_, key=given_.__getitem__)
    assert [adjusted[name] for name in ranked] == sorted(adjusted.values())


def test_one_bad_look_among_many_fails_no_good_tune(make_sample: Make) -> None:
    """A p-value of 4 % fails a gate that stands alone, and not one of twelve."""
    samples = made(make_sample, 100)

    def answers(i: int) -> Answer:
        return answer("invalid" if i < 4 else "valid")

    alone = judged(samples, answers, adherence=LEAST_99)
    assert alone.verdict == "fail"
    fine = msgspec.structs.replace(LEAST_99, at_least=0.5)
    gates_ = {"adherence": LEAST_99, **{f"g{i}": fine for i in range(11)}}
    among = judge(GateFile(0.95, gates_), arm(samples, answers), None, samples)
    assert among.findings[0].verdict == "inconclusive"


def test_the_shipped_gates_are_the_acceptance_criteria() -> None:
    found = gates.load().gates
    assert found["adherence"].at_least == found["refusal"].at_least == 0.99
    assert found["repair"].at_most == 0.03
    assert found["citation"].at_least == 0.95
    assert found["tokens"].ratio == (0.75, 0.9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("confidence = 2\n[gates]", "confidence"),
        ("confidence = [", "not TOML"),
        ('confidence = 0.95\n[gates.a]\nwhy="x"', r"gates.*suite"),
        (
            'confidence = 0.95\n[gates.a]\nsuite="x"\nmeasure="style"\ntasks=[]\nwhy=""',
            "one of at_least, at_most and ratio",
        ),
        (
            "confidence=0.95\n[gates.a]\nsuite=''\nmeasure='y'\ntasks=[]\nwhy=''\nat_least=1",
            "gates.a.measure: 'y' is none of adherence",
        ),
    ],
)
def test_a_broken_gate_file_is_named_with_what_would_be_right(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "gates.toml"
    path.write_text(text)
    with pytest.raises(SetupError, match=said):
        gates.load(path)
    with pytest.raises(SetupError, match="No such file"):
        gates.load(tmp_path / "none.toml")
