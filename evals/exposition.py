"""What the watch has seen, in Prometheus's text format, served or written to a file.

Without prometheus_client, which is the gateway's alone: the format is lines.
https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

import contextlib
import http.server
import os
import tempfile
import threading
from collections.abc import Generator, Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Final

import msgspec

from evals.errors import SetupError
from evals.watch import Look, Seen, Share

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Labels = dict[str, str]


class Family(msgspec.Struct, frozen=True):
    """A gauge and its samples."""

    name: str
    says: str
    samples: tuple[tuple[Labels, float], ...]


def families(look: Look) -> tuple[Family, ...]:
    """Return the metrics of a look.

    Where `keep` is `flawed` the families of shares have no samples.
    """
    newest = "over the newest outputs that were kept"
    drifts = "a window's difference from the first outputs that were kept of the model"
    return (
        Family(
            "wastegate_eval_share",
            f"Share of the measure {newest}.",
            tuple((labels, s.share) for labels, s in _shares(look)),
        ),
        Family(
            "wastegate_eval_share_low",
            "Its lower bound, 95 %, one-sided.",
            tuple((labels, s.low) for labels, s in _shares(look)),
        ),
        Family(
            "wastegate_eval_share_high",
            "Its upper bound, 95 %, one-sided.",
            tuple((labels, s.high) for labels, s in _shares(look)),
        ),
        Family(
            "wastegate_eval_samples",
            "Outputs that count for the measure.",
            tuple((labels, float(s.n)) for labels, s in _shares(look)),
        ),
        Family(
            "wastegate_eval_outputs",
            "Outputs that are kept.",
            tuple((_labels(seen), float(seen.total)) for seen in look.groups),
        ),
        Family(
            "wastegate_eval_drift_p_value",
            f"How probable {drifts} is by chance; Holm's, over all features.",
            tuple(
                ({**_labels(seen), "feature": each.feature}, each.adjusted)
                for seen in look.groups
                for each in (seen.drifts.every if seen.drifts else ())
            ),
        ),
        Family(
            "wastegate_eval_last_run_timestamp_seconds",
            "When the watch last looked.",
            (({}, look.at),),
        ),
        Family(
            "wastegate_eval_torn_lines",
            "Lines that were kept and cannot be read.",
            (({}, float(look.torn)),),
        ),
    )


def text(look: Look) -> str:
    """Render all metrics."""
    return "".join(_family(family) for family in families(look) if family.samples)


def write(content: str, path: Path) -> None:
    """Write the file of node_exporter's textfile collector: whole, or not at all.

    Raises:
        SetupError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The collector reads *.prom, and others may be asked to read it: so 644.
        file, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(file, "w", encoding="utf-8") as stream:
                stream.write(content)
            os.chmod(draft, 0o644)  # noqa: PTH101 -- a name of mkstemp's
            Path(draft).replace(path)
        except OSError:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SetupError(f"{path}: {error.strerror}; name another file") from error


class Board:
    """What is served: the last text."""

    def __init__(self) -> None:
        self.content = b""


@contextlib.contextmanager
def serving(board: Board, host: str, port: int) -> Generator[int]:
    """Serve `/metrics` in a thread while the block runs; gives the port.

    Raises:
        SetupError: the address cannot be listened on.
    """
    try:
        server = http.server.ThreadingHTTPServer((host, port), _handler(board))
    except OSError as error:
        raise SetupError(f"{host}:{port}: {error.strerror}; see --listen") from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(board: Board) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10.0
        """Seconds: a client that says nothing holds a thread no longer."""

        def do_GET(self) -> None:
            """Answer a scrape."""
            if self.path.partition("?")[0] != "/metrics":
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            content = board.content
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- the base's name
            """Say nothing: a scrape is no news."""

    return Handler


def _labels(seen: Seen) -> Labels:
    group = seen.group
    return {
        "surface": group.surface,
        "generator": group.generator,
        "model": group.model,
        "mode": group.mode,
    }


def _shares(look: Look) -> Iterable[tuple[Labels, Share]]:
    for seen in look.groups:
        for name, share in seen.shares.items():
            yield {**_labels(seen), "measure": name}, share


def _family(family: Family) -> str:
    lines = [f"# HELP {family.name} {family.says}", f"# TYPE {family.name} gauge"]
    for labels, value in family.samples:
        inner = ",".join(f'{name}="{_escaped(v)}"' for name, v in labels.items())
        braces = f"{{{inner}}}" if inner else ""
        lines.append(f"{family.name}{braces} {value!r}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
