"""A control plane in miniature: one flag with versions, kills, adapters, an audit log.

It answers over a real socket, so that the command line is tried with all its parts.
"""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "wg-test"


class Control:
    """The state behind the endpoints; tests look at it and meddle with it.

    `rivals` is how many times somebody else changes the flag just before a PUT.
    """

    def __init__(self) -> None:
        self.version = 1
        self.flag: dict[str, Any] = {
            "hash": "flagd-v3",
            "salt": "r1",
            "default": "base",
            "lora": 0,
            "lora_pref": 0,
            "overrides": {},
            "surfaces": {},
            "kills": [],
        }
        self.rivals = 0
        self.whys: list[str] = []
        self.left_to_do: list[str] = []
        self.persisted = True
        self.behind = True
        self.heard: dict[str, list[str]] = {}
        self.verified: dict[str, Any] = {"entries": 7, "digest": "ab" * 32}

    def document(self) -> dict[str, Any]:
        return {"key": "GENERATOR", "version": self.version, **self.flag}

    def answer(
        self, method: str, path: str, body: dict[str, Any], if_match: str
    ) -> tuple[int, Any]:
        """Route one request; unknown ones are 404."""
        parts = urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.whys.append(body.get("why", query.get("why", "")))
        name, _, rest = parts.path.removeprefix("/admin/v1/").partition("/")
        handler = getattr(self, f"{method.lower()}_{name}", None)
        if handler is None:
            return 404, failure("not_found", f"there is no {path}")
        return handler(rest, body | query, if_match)

    def get_flags(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        return 200, self.document()

    def put_flags(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        if self.rivals:
            self.rivals -= 1
            self.version += 1
        if if_match != f'"{self.version}"':
            return 409, failure("conflict", f"the version is {self.version}")
        body.pop("why")
        self.flag = body
        self.version += 1
        return 200, self.document()

    def put_overrides(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        self.flag["overrides"][rest] = body["variant"]
        return 200, {"overrides": self.flag["overrides"]}

    def delete_overrides(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        self.flag["overrides"].pop(rest, None)
        return 200, {"overrides": self.flag["overrides"]}

    def kills(self) -> tuple[int, Any]:
        kills = self.flag["kills"]
        return 200, {
            "kills": kills,
            "version": self.version,
            "persisted": self.persisted,
            **self.heard,
        }

    def get_kill(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        return self.kills()

    def post_kill(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        self.flag["kills"].append({"scope": body["scope"], "name": body["name"]})
        return self.kills()

    def delete_kill(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        self.flag["kills"].remove({"scope": body["scope"], "name": body["name"]})
        return self.kills()

    def get_adapters(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        if rest.endswith("/card"):
            return 200, "# A card"
        replica = {
            "url": "http://e:1",
            "state": "ready",
            "reason": None,
            "in_flight": 2,
        }
        adapter = {
            "ref": "tune@v1",
            "digest": "ab" * 32,
            "desired": "mounted",
            "bound_to": ["lora"],
            "replicas": [replica],
            "verdict": "inconclusive",
        }
        lost: dict[str, Any] = {
            "ref": "lost@v1",
            "digest": None,
            "desired": "mounted",
            "replicas": [replica | {"url": "http://e:2", "alive": False}],
        }
        return 200, {"adapters": [adapter, lost]}

    def post_adapters(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        if body["ref"] != "tune@v1":
            return 404, failure("not_found", f"{body['ref']} is not registered")
        return 200, {}

    def delete_adapters(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        steps = [{"step": "routing_removed", "seconds": 0.001, "detail": ""}]
        return 200, {"ref": rest, "steps": steps, "left_to_do": self.left_to_do}

    def get_resolve(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        return 200, {
            "generator": "lora",
            "model": "tune@v1",
            "reason": f"SPLIT; unit={body['unit']}",
            "rule": "percentage",
            "bucket": 312,
            "version": self.version,
            "ready": True,
        }

    def store(self) -> tuple[int, Any]:
        return 200, {
            "up": True,
            "behind": self.behind,
            "stale": False,
            "id": "5eed",
            "epoch": 0 if self.behind else 1,
            "versions": {"flags": 7, "bindings": 1, "adapters": 1},
            "only_here": {"kills": ["tenant acme"], "unmounted": []},
        }

    def get_store(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        return self.store()

    def post_store(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        self.behind = False
        return self.store()

    def get_audit(self, rest: str, body: Any, if_match: str) -> tuple[int, Any]:
        if rest == "verify":
            return 200, self.verified
        entry: dict[str, Any] = {
            "seq": 7,
            "at": 1_700_000_000.0,
            "who": "alice",
            "what": "flags.set",
            "why": "[bold]first[/bold] step",
            "key": "flags",
            "before": None,
            "after": {},
        }
        return 200, {"entries": [entry][: int(body["limit"])]}


def failure(code: str, message: str) -> dict[str, Any]:
    return {"error": {"type": "t", "code": code, "message": message}}


class ControlServer:
    """The same, listening on a loopback port."""

    def __init__(self) -> None:
        self.control = control = Control()

        class Handler(BaseHTTPRequestHandler):
            def do_any(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body: dict[str, Any] = (
                    json.loads(self.rfile.read(length) or b"null") or {}
                )
                if self.headers["Authorization"] != f"Bearer {KEY}":
                    status, said = 401, failure("invalid_key", "nobody has this key")
                else:
                    if_match = self.headers.get("If-Match", "")
                    status, said = control.answer(
                        self.command, self.path, body, if_match
                    )
                raw = (
                    said.encode()
                    if isinstance(said, str)
                    else json.dumps(said).encode()
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(raw)))
                self.send_header("ETag", f'"{control.version}"')
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = do_PUT = do_DELETE = do_any  # noqa: N815 - http.server's names

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
