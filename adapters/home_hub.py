"""A home on the Hugging Face Hub: the files of one model repository; read only.

One repository at one revision is one adapter. What is believed there is its
manifest.json alone, and of that, that it names the ref which was asked for: the
weights and the configuration have to be those of the manifest, as everywhere.
"""

import contextlib
import re
import time
from collections.abc import Generator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import quote

import httpx
import msgspec

from adapters.errors import HomeError, ManifestError, UnknownRef
from adapters.files import receive
from adapters.manifest import MANIFEST, Manifest, decode
from adapters.preflight import ALLOWED, NEEDED, Limits
from adapters.refs import AdapterRef
from adapters.registry import Registered

_TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
"""Seconds until an answer begins or goes on."""
_WHOLE: Final = 900.0
"""Seconds for one file, however steadily it drips."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")

_TRY_AGAIN: Final = "try again, or look at the repository's page"
_SAYS: Final = {
    401: "set HF_TOKEN to the token of somebody who may read it, or correct its name",
    403: "set HF_TOKEN to the token of somebody who was given access to it",
    404: "correct the name or the revision, or upload the file",
    429: "wait some minutes: it has been asked too often",
}


class Repository(msgspec.Struct, frozen=True):
    """A model repository at a revision, and where the Hub is."""

    endpoint: str
    name: str
    """OWNER/REPO."""
    revision: str


class HubHome:
    """A repository as a home; all methods but `publish` do blocking I/O."""

    def __init__(
        self, name: str, repository: Repository, token: str | None, limits: Limits
    ) -> None:
        """Use a repository; errors call it by its name, limits cap what is pulled.

        The token goes to the endpoint's own host alone: httpx drops it when it
        follows a redirect to another, which is how weights are served.
        """
        self._name: Final = name
        self._repository: Final = repository
        self._limits: Final = limits
        self._headers: Final = {"Accept-Encoding": "identity"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def refs(self) -> tuple[AdapterRef, ...]:
        """Name the one adapter that is there. Raises HomeError."""
        with self._client() as client:
            _, manifest, _ = self._manifest(client)
        return (manifest.ref,)

    def fetch(self, ref: AdapterRef, into: Path) -> None:
        """Write an adapter's files into an empty directory.

        Raises:
            UnknownRef: the manifest there is another adapter's.
            HomeError: the Hub cannot be used, or the files are not the manifest's.
            OSError: this machine's disk refuses.
        """
        with self._client() as client:
            raw, manifest, revision = self._manifest(client)
            if manifest.ref != ref:
                raise UnknownRef(ref, (manifest.ref,))
            with (into / MANIFEST).open("xb") as file:
                file.write(raw)
            for name in sorted(ALLOWED - {MANIFEST}):
                with self._asked(client, name, revision) as response:
                    if (
                        response.status_code == HTTPStatus.NOT_FOUND
                        and name not in NEEDED
                    ):
                        continue
                    self._refuse(response, name)
                    largest, digest = self._limits.largest(name), manifest.files
                    problem = receive(
                        self._body(response), into / name, largest, digest.get(name)
                    )
                if problem:
                    self._damaged(problem)

    def publish(self, registered: Registered) -> None:
        """Say how to upload there, which needs git's large files and more.

        Raises:
            HomeError: always.
        """
        raise HomeError(
            self._name,
            "a repository on the Hub is only pulled from",
            f"upload with: hf upload {self._repository.name} {registered.path}",
        )

    def _client(self) -> httpx.Client:
        return httpx.Client(
            headers=self._headers, timeout=_TIMEOUT, follow_redirects=True
        )

    def _manifest(self, client: httpx.Client) -> tuple[bytes, Manifest, str]:
        """Read the manifest, and which commit it is of where the Hub says so.

        The other files are asked for by that commit: a branch may move meanwhile.
        """
        raw = bytearray()
        with self._asked(client, MANIFEST, self._repository.revision) as response:
            self._refuse(response, MANIFEST)
            for chunk in self._body(response):
                raw += chunk
                if len(raw) > self._limits.largest(MANIFEST):
                    self._damaged(f"{MANIFEST} is too long for one")
            commit = _commit(response) or self._repository.revision
        try:
            return bytes(raw), decode(bytes(raw)), commit
        except ManifestError as error:
            self._damaged(str(error))

    @contextlib.contextmanager
    def _asked(
        self, client: httpx.Client, name: str, revision: str
    ) -> Generator[httpx.Response]:
        repository = self._repository
        url = (
            f"{repository.endpoint}/{repository.name}"
            f"/resolve/{quote(revision, safe='')}/{name}"
        )
        try:
            with client.stream("GET", url) as response:
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            said = str(error) or type(error).__name__
            raise HomeError(
                self._name,
                f"{name} cannot be had from {repository.endpoint}: {said}",
                "try again, or correct HF_ENDPOINT",
            ) from error

    def _body(self, response: httpx.Response) -> Iterator[bytes]:
        until = time.monotonic() + _WHOLE
        for chunk in response.iter_bytes():
            yield chunk
            if time.monotonic() > until:
                raise HomeError(
                    self._name, f"a file took longer than {_WHOLE:.0f} s", _TRY_AGAIN
                )

    def _refuse(self, response: httpx.Response, name: str) -> None:
        if response.status_code != HTTPStatus.OK:
            raise HomeError(
                self._name,
                f"{name}: the answer is {response.status_code}",
                _SAYS.get(response.status_code, _TRY_AGAIN),
            )

    def _damaged(self, what: str) -> NoReturn:
        raise HomeError(
            self._name,
            f"it holds no sound adapter: {what}",
            "have its owner upload a sealed adapter's directory whole",
        )


def _commit(response: httpx.Response) -> str | None:
    """Read which commit was served; only the Hub's own answer says it."""
    for each in (*response.history, response):
        told = each.headers.get("X-Repo-Commit", "")
        if _COMMIT.fullmatch(told):
            return told
    return None
