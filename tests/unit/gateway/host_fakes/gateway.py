"""A stand-in for the gateway: ready when the engine is, drains on SIGTERM.

`fake/gateway` says how it behaves: `ok`, `never` (never ready), `die`.
"""

import json
import os
import signal
import sys
import tomllib
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


def merged() -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, object]] = {}
    paths = [sys.argv[i + 1] for i, a in enumerate(sys.argv) if a == "--config"]
    for path in paths:
        for key, table in tomllib.loads(Path(path).read_text("utf-8")).items():
            document.setdefault(key, {}).update(table)
    return document


CONFIG = merged()
BEHAVIOUR = Path("fake/gateway").read_text(encoding="utf-8").strip()


def engine_is_up() -> bool:
    replicas = CONFIG["engine"]["replicas"]
    assert isinstance(replicas, list)
    try:
        with urllib.request.urlopen(f"{replicas[0]}/health", timeout=2) as answer:  # noqa: S310 - a test's own
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


class Handler(BaseHTTPRequestHandler):
    def answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/readyz":
            ready = BEHAVIOUR == "ok" and engine_is_up()
            self.answer(200 if ready else 503, {"error": {"message": "not yet"}})
        elif self.path == "/admin/v1/adapters":
            replica = {"url": "", "state": "READY", "reason": "", "in_flight": 0}
            adapter = {"ref": "a@v1", "desired": "mounted", "replicas": [replica]}
            self.answer(200, {"adapters": [adapter]})
        else:
            self.answer(404, {})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        return


def note(line: str) -> None:
    with Path("fake/journal").open("a", encoding="utf-8") as journal:
        journal.write(f"{line}\n")


def main() -> None:
    sys.stderr.write(f"gateway, {BEHAVIOUR}\n")
    if BEHAVIOUR == "die":
        note("gateway dies")
        sys.exit("bad configuration: gateway.listen")

    def end(_signum: int, _frame: object) -> None:
        note("gateway ends")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    note(f"gateway {os.getpid()}")
    servers = [
        ThreadingHTTPServer(
            ("127.0.0.1", int(str(CONFIG["gateway"][key])[10:])), Handler
        )
        for key in ("listen", "admin_listen")
    ]
    Thread(target=servers[1].serve_forever, daemon=True).start()
    servers[0].serve_forever()


main()
