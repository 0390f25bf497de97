"""What may be trained on: licence, consent, region. Without them, nothing."""

from typing import Any

import msgspec
from license_expression import ExpressionError, get_spdx_licensing

from training.curate.records import Record


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which of the governing columns' values allow training."""

    licenses: tuple[str, ...]
    """SPDX ids; of an expression, what it demands has to be among them."""
    consents: tuple[str, ...]
    regions: tuple[str, ...]


class Governance:
    """Judges records by a policy.

    Args:
        policy: what is allowed.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._spdx = get_spdx_licensing()

    def objection(self, record: Record) -> str:
        """Say what forbids to train on a record; nothing where nothing does."""
        if not record.source:
            return "no source"
        if why := self._license(record.license):
            return why
        for column, value, allowed in (
            ("consent", record.consent, self._policy.consents),
            ("region", record.region, self._policy.regions),
        ):
            if not value:
                return f"no {column}"
            if value not in allowed:
                return f"{column} {value!r} is not allowed: {', '.join(allowed)} are"
        return ""

    def _license(self, expression: str) -> str:
        if not expression:
            return "no licence"
        try:
            parsed = self._spdx.parse(expression, validate=True, strict=True)
        except ExpressionError as error:
            return f"licence {expression!r} is no SPDX expression: {error}"
        if self._allows(parsed):
            return ""
        allowed = ", ".join(self._policy.licenses)
        return f"licence {expression!r} is not allowed: {allowed} are"

    def _allows(self, demand: Any) -> bool:
        """Of an `AND` all have to be allowed, of an `OR` one."""
        if isinstance(demand, self._spdx.AND):
            return all(map(self._allows, demand.args))
        if isinstance(demand, self._spdx.OR):
            return any(map(self._allows, demand.args))
        return demand.render() in self._policy.licenses
