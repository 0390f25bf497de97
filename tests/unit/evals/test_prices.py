"""The price table, and what a request costs by it."""

from pathlib import Path

import pytest

from evals import prices
from evals.errors import SetupError
from evals.load import Request
from evals.prices import Price

BY_TOKENS = Price(
    currency="EUR", source="list", per_million_prompt=1.0, per_million_output=10.0
)
ANSWERED = Request(0, 0, 1, (0.5,), prompt_tokens=1000, completion_tokens=100)
LOST = Request(0, 0, 1, code="overloaded")


def test_tokens_are_billed_over_the_answered_requests() -> None:
    found = prices.cost(BY_TOKENS, [ANSWERED, ANSWERED, LOST], 9.0)
    assert found
    assert found.per_request == pytest.approx((1000 * 1.0 + 100 * 10.0) / 1e6)
    assert (found.currency, found.source) == ("EUR", "list")


def test_an_engine_costs_by_the_hour_whether_it_is_busy_or_not() -> None:
    price = Price(currency="USD", source="rent", per_engine_hour=3.6, engines=2)
    found = prices.cost(price, [ANSWERED, LOST], 10.0)
    assert found
    assert found.per_request == pytest.approx(3.6 * 2 * 10 / 3600)


def test_what_is_not_known_is_not_guessed() -> None:
    uncounted = Request(0, 0, 1, (0.5,))
    assert prices.cost(BY_TOKENS, [uncounted], 1.0) is None
    assert prices.cost(BY_TOKENS, [LOST], 1.0) is None
    assert prices.price_of({"a@v1": BY_TOKENS}, "a@v2") is None


def test_a_version_has_its_own_price_or_its_names() -> None:
    other = Price(currency="USD", source="x", per_engine_hour=1.0)
    table = {"a": BY_TOKENS, "a@v2": other}
    assert prices.price_of(table, "a@v1") is BY_TOKENS
    assert prices.price_of(table, "a@v2") is other


def test_the_shipped_table_can_be_read() -> None:
    assert prices.price_of(prices.load(), "smollm2-135m-instruct@1.0")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[models.a", "not TOML"),
        ('[models.a]\ncurrency = "E"', "models"),
        ('[models.a]\ncurrency = "E"\nsource = "s"', "models.a: per_engine_hour, or"),
        (
            '[models.a]\ncurrency="E"\nsource="s"\nper_million_prompt=1.0\nprice=2',
            "price",
        ),
        (
            '[models.a]\ncurrency="E"\nsource="s"\nper_million_prompt=-1',
            "per_million_prompt",
        ),
    ],
)
def test_a_bad_table_is_refused_by_its_key(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "p.toml"
    path.write_text(text)
    with pytest.raises(SetupError, match=says):
        prices.load(path)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.toml"):
        prices.load(tmp_path / "none.toml")
