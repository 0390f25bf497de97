"""A stand-in for vLLM: answers /health, dies or hangs on demand.

`fake/engine` in the working directory says how it behaves: `ok`, `die` (exits with 3
at once), `stubborn` (ignores SIGTERM). It starts a child of its own, as vLLM does.
"""

import os
import signal
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        return


def note(line: str) -> None:
    with Path("fake/journal").open("a", encoding="utf-8") as journal:
        journal.write(f"{line}\n")


def main() -> None:
    behaviour = Path("fake/engine").read_text(encoding="utf-8").strip()
    sys.stderr.write(f"engine, {behaviour}\n")
    if behaviour == "die":
        note("engine dies")
        sys.exit(3)

    def end(_signum: int, _frame: object) -> None:
        if behaviour == "stubborn":
            note("engine ignores TERM")
            return
        note("engine ends")
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    worker = subprocess.Popen(
        ["/bin/sleep", "600"]
    )  # like vLLM's core: dies with nobody
    note(f"engine {os.getpid()} worker {worker.pid}")
    port = int(sys.argv[sys.argv.index("--port") + 1])
    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


main()
