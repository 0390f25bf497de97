"""The three commands that `up` ends with: the first thing a newcomer does."""

from typing import Final

from gateway.host.config import StackConfig
from gateway.host.layout import ENV_FILE

_QUESTION: Final = (
    '{"input": {"context": ['
    '{"id": "S1", "text": "The Cobalt kettle is sold in red and in blue."}, '
    '{"id": "S2", "text": "Buyers of the Cobalt kettle get a guarantee lasting 21'
    ' months."}], '
    '"user": "I bought a Cobalt kettle. What guarantee do I get?"}, "temperature": 0}'
)
_FLIP: Final = '{"variant": "lora", "why": "a first try"}'
_JSON: Final = "-H 'Content-Type: application/json'"


def _bearer(name: str) -> str:
    """Let the shell read the key when the line is run: the line holds no secret."""
    return f"-H \"Authorization: Bearer $(sed -n 's/^{name}=//p' {ENV_FILE})\""


def lines(config: StackConfig) -> tuple[str, str, str]:
    """Write curl commands that work as they stand, in the repository's root.

    Returns:
        What can be asked for, a flip of the flag for one tenant, and a question. The
        flip comes first: the small base on its own seldom answers in JSON.
    """
    tenant, admin = _bearer("WASTEGATE_KEY"), _bearer("WASTEGATE_ADMIN_KEY")
    override = f"{config.admin_url}/admin/v1/overrides/{config.tenant}"
    return (
        f"curl -sS {tenant} {config.url}/v1/models",
        f"curl -sS -X PUT {admin} {_JSON} -d '{_FLIP}' {override}",
        f"curl -sS -i {tenant} {_JSON} -d '{_QUESTION}' {config.url}/v1/assist",
    )
