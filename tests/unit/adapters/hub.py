"""The Hugging Face Hub in miniature: one repository's files, on two loopback ports."""

import contextlib
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "adapter_model.safetensors"


class Hub:
    """What the repository holds, how it misbehaves, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.revisions = {"main", COMMIT}
        self.token = ""
        """Who has none of it is answered 401."""
        self.endless: set[str] = set()
        """Files whose body does not end."""
        self.status: dict[str, int] = {}
        self.moves: dict[str, bytes] = {}
        """What the branch holds once its manifest was read; the commit stays."""
        self.asked: list[str] = []
        self.cdn_headers: list[dict[str, str]] = []
        self.url = ""
        self.cdn = ""

    @contextlib.contextmanager
    def running(self) -> Generator["Hub"]:
        """Serve, until the block is left."""
        with _serving(_hub(self)) as self.url, _serving(_cdn(self)) as self.cdn:
            yield self

    def data(self, revision: str, name: str) -> bytes | None:
        if revision == "main" and any("manifest.json" in path for path in self.asked):
            return (self.files | self.moves).get(name)
        return self.files.get(name)

    def refusal(self, name: str, data: bytes | None, given: str | None) -> int | None:
        if self.token and given != f"Bearer {self.token}":
            return 401
        return self.status.get(name, 404 if data is None else None)


@contextlib.contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name
        """Stay quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        """Send without end, and without saying how much it will be."""
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            while True:
                self.wfile.write(b" " * 65536)


def _hub(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def do_GET(self) -> None:
            data = hub.data(*self._wanted())
            hub.asked.append(self.path)
            name = self.path.rpartition("/")[2]
            if status := hub.refusal(name, data, self.headers["Authorization"]):
                self.answer(status)
            elif name == WEIGHTS:
                self.answer(302, Location=f"{hub.cdn}/{name}", X_Repo_Commit=COMMIT)
            elif name in hub.endless:
                self.drip()
            else:
                self.answer(200, data or b"", X_Repo_Commit=COMMIT)

        def _wanted(self) -> tuple[str, str]:
            parts = self.path.split("/")
            if parts[1:4] != ["owner", "repo", "resolve"] or len(parts) != 6:
                return "", ""
            revision = unquote(parts[4])
            return revision, parts[5] if revision in hub.revisions else ""

    return Handler


def _cdn(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        def do_GET(self) -> None:
            hub.cdn_headers.append(dict(self.headers.items()))
            if WEIGHTS in hub.endless:
                self.drip()
            else:
                self.answer(200, hub.files[WEIGHTS])

    return Handler
