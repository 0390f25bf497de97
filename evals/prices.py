"""The price table, and what a request costs by it."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec

from evals.errors import SetupError
from evals.load import Request

PRICES: Final = Path(__file__).with_name("prices.toml")
_HOUR: Final = 3600.0
_MILLION: Final = 1_000_000

_Amount = Annotated[float, msgspec.Meta(ge=0)]


class Price(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model's price; by tokens or by the hour."""

    currency: str
    source: str
    per_million_prompt: _Amount | None = None
    per_million_output: _Amount | None = None
    per_engine_hour: _Amount | None = None
    engines: Annotated[int, msgspec.Meta(ge=1)] = 1


class _File(msgspec.Struct, forbid_unknown_fields=True):
    models: dict[str, Price] = {}


class Cost(msgspec.Struct, frozen=True):
    """What an answered request costs on average."""

    per_request: float
    currency: str
    how: str
    """The arithmetic, with its figures."""
    source: str


def load(path: Path = PRICES) -> dict[str, Price]:
    """Read a price table, by ref or name.

    Raises:
        SetupError: naming file, key and what would be right.
    """
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _File)
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"{path}: not TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise SetupError(f"{path}: {error}") from error
    for name, price in found.models.items():
        tokens = (price.per_million_prompt, price.per_million_output)
        if (price.per_engine_hour is None) == (None in tokens):
            raise SetupError(
                f"{path}: models.{name}: per_engine_hour, or both per_million_prompt"
                " and per_million_output, is right"
            )
    return found.models


def price_of(prices: dict[str, Price], model: str) -> Price | None:
    """The price of a ref: its own, else that of its name; None if there is neither."""
    return prices.get(model) or prices.get(model.partition("@")[0])


def cost(price: Price, requests: Sequence[Request], seconds: float) -> Cost | None:
    """What one answered request costs on average.

    By tokens: (prompt tokens x price + output tokens x price) / 10^6, summed over the
    answered requests and divided by their number. By the hour: price x engines x
    hours / answered requests, so an engine that idles between requests makes each of
    them dearer, and the figure is one of this rate, not of the engine at its fullest.

    Args:
        price: of the model.
        requests: all that were sent in the time, failed ones too.
        seconds: from the first sending to the last answer.

    Returns:
        None where nothing was answered, or where tokens are billed and not known.
    """
    answered = [request for request in requests if not request.code]
    n = len(answered)
    if not n:
        return None
    if price.per_engine_hour is not None:
        amount = price.per_engine_hour * price.engines * seconds / _HOUR / n
        how = (
            f"{price.per_engine_hour:g} an hour x {price.engines} x"
            f" {seconds:.1f} s / 3600 / {n} answered"
        )
        return Cost(amount, price.currency, how, price.source)
    prompt = [request.prompt_tokens for request in answered]
    output = [request.completion_tokens for request in answered]
    if None in prompt or None in output:
        return None
    prompts = sum(each or 0 for each in prompt)
    outputs = sum(each or 0 for each in output)
    rates = (price.per_million_prompt or 0.0, price.per_million_output or 0.0)
    amount = (prompts * rates[0] + outputs * rates[1]) / _MILLION / n
    how = (
        f"({prompts} prompt tokens x {rates[0]:g} + {outputs} output tokens x"
        f" {rates[1]:g}) / 10^6 / {n} answered"
    )
    return Cost(amount, price.currency, how, price.source)
