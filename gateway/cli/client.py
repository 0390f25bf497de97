"""The control plane as the command line sees it; httpx's errors end here."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from gateway.cli.errors import CliError, RefusedError, UnreachableError

_T = TypeVar("_T")

_CONNECT: Final = 2.0
_READ: Final = 15.0

_ADVICE: Final = {
    "invalid_key": "set WASTEGATE_ADMIN_KEY to a key of this gateway"
    " (make up writes one to var/local.env)",
    "not_allowed": "use a key of admin.key_sha256; this one may only look",
    "conflict": "look at the present state, then decide again",
    "store_unavailable": "see the gateway's log; a kill works without the store",
}


class Answer(msgspec.Struct, frozen=True):
    """A good answer: its body, and its version if it has one."""

    body: bytes
    etag: str

    def read(self, kind: type[_T]) -> _T:
        """Decode the body.

        Raises:
            CliError: it is not of this kind.
        """
        try:
            return msgspec.json.decode(self.body, type=kind)
        except msgspec.DecodeError as error:
            raise CliError(
                f"the answer is not what was expected: {error}",
                "is the gateway of the same version as this command?",
            ) from error


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    code: str = ""


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def segment(text: str) -> str:
    """Write a name as one segment of a path."""
    return quote(text, safe="@.")


class Admin:
    """A connection to one control plane.

    Args:
        url: where it is.
        key: an administrator's key.
        transport: how requests travel; the network by default.
    """

    def __init__(
        self, url: str, key: str, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._url = url
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"},
            trust_env=False,  # a proxy must not see the key
            transport=transport or httpx.HTTPTransport(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, **query: str | int) -> Answer:
        """GET /admin/v1/PATH."""
        return self._ask("GET", path, query=query)

    def put(self, path: str, body: object, *, etag: str = "") -> Answer:
        """PUT a JSON body, only over the version `etag` if one is given."""
        headers = {"If-Match": etag} if etag else {}
        return self._ask("PUT", path, body=body, headers=headers)

    def post(self, path: str, body: object, *, patience: float = 0.0) -> Answer:
        """POST a JSON body; the answer may take `patience` seconds longer."""
        return self._ask("POST", path, body=body, patience=patience)

    def delete(
        self, path: str, body: object = None, *, patience: float = 0.0, **query: str
    ) -> Answer:
        """DELETE, with a body or a query."""
        return self._ask("DELETE", path, body=body, query=query, patience=patience)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 0.0,
    ) -> Answer:
        try:
            response = self._client.request(
                method,
                f"{self._url.rstrip('/')}/admin/v1/{path}",
                params=query or None,
                json=body,
                headers=headers,
                timeout=httpx.Timeout(_READ + patience, connect=_CONNECT),
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise UnreachableError(
                f"no control plane answers at {self._url} ({error})",
                "start it: make up; or set WASTEGATE_ADMIN_URL",
            ) from error
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            raise _refused(response)
        return Answer(response.content, response.headers.get("ETag", ""))


def _refused(response: httpx.Response) -> RefusedError:
    try:
        error = msgspec.json.decode(response.content, type=_ErrorBody).error
    except msgspec.DecodeError:
        error = _Error()
    message = error.message or f"HTTP {response.status_code}"
    return RefusedError(
        message,
        _ADVICE.get(error.code, "the command's --help has an example"),
        status=response.status_code,
        code=error.code,
    )
