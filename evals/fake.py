"""A gateway in process that answers as it is told; for tests of the evals.

It keeps the manners of the real one that the evals lean on: headers that name the
generator, overrides that take effect at once, typed errors. What it answers is a
function of sample and generator, so faults can be planted one at a time.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OK: Final = 200
REFS: Final = {"base": "tiny@1.0", "lora": "behav@v1", "lora_pref": "pref@v1"}


class Reply(msgspec.Struct, frozen=True):
    """An answer: a status, its body, headers beside the usual ones."""

    status: int
    body: object
    headers: Mapping[str, str] = {}


Behaviour = Callable[[str, str], Reply]
"""Called with the conversation (`eval-` and the sample's id) and the generator, or
`constrained` for a chat whose decoding is bound to a schema."""


def delivered(
    status: str = "ok",
    citations: tuple[str, ...] = (),
    *,
    text: str = "Yes.",
    verdict: str = "valid",
    tokens: int = 20,
    ttft: float = 40.0,
) -> Reply:
    """A 200 of `/v1/assist`."""
    body = {
        "id": "r-1",
        "output": {"status": status, "answer": text, "citations": citations},
        "verdict": verdict,
        "repairs": ["envelope"] if verdict == "repaired" else [],
        "usage": {"prompt_tokens": 100, "completion_tokens": tokens},
    }
    return Reply(200, body, {"server-timing": f"ttft;dur={ttft}, total;dur=300"})


def failed(status: int, code: str, **more: object) -> Reply:
    """A typed error."""
    error = {"type": "t", "code": code, "message": "no", "request_id": "r-1", **more}
    return Reply(status, {"error": error})


class FakeGateway:
    """Both planes as one ASGI application; `asked`, `changes` and `filed` say what happened."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.overrides: dict[str, str] = {}
        self.ready = True
        self.asked: list[tuple[str, str]] = []
        self.changes: list[str] = []
        self.filed: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; lifespan is not spoken."""
        body = b""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
        path: str = scope["path"]
        if path == "/v1/assist":
            request = msgspec.json.decode(body)
            reply = self._answer(request["conversation"], constrained=False)
        elif path == "/v1/chat/completions":
            request = msgspec.json.decode(body)
            conversation = request["metadata"]["conversation_id"]
            reply = _as_chat(self._answer(conversation, constrained=True))
        elif path.endswith("/verdict"):
            self.filed.append(msgspec.json.decode(body))
            reply = Reply(200, {})
        elif path.startswith("/admin/v1/overrides/"):
            reply = self._override(scope["method"], path.rpartition("/")[2], body)
        else:
            reply = self._look(path, parse_qs(scope["query_string"].decode()))
        raw = [
            (name.lower().encode(), value.encode())
            for name, value in reply.headers.items()
        ]
        start = "http.response.start"
        await send({"type": start, "status": reply.status, "headers": raw})
        content = msgspec.json.encode(reply.body)
        await send({"type": "http.response.body", "body": content})

    def _answer(self, conversation: str, *, constrained: bool) -> Reply:
        generator = self.overrides.get("acme", "base")
        self.asked.append((conversation, generator))
        how = "constrained" if constrained else generator
        reply = self.behaviour(conversation, how)
        usual = {
            "x-wastegate-generator": generator,
            "x-wastegate-model": REFS[generator],
            "x-wastegate-reason": "TARGETING_MATCH; rule=override",
        }
        return Reply(reply.status, reply.body, {**usual, **reply.headers})

    def _override(self, method: str, tenant: str, body: bytes) -> Reply:
        if method == "DELETE":
            self.overrides.pop(tenant, None)
            self.changes.append("-")
        else:
            self.overrides[tenant] = msgspec.json.decode(body)["variant"]
            self.changes.append(self.overrides[tenant])
        return Reply(200, {})

    def _look(self, path: str, query: dict[str, list[str]]) -> Reply:
        if path == "/admin/v1/flags/GENERATOR":
            return Reply(200, {"overrides": self.overrides})
        if path == "/admin/v1/adapters":
            adapters = [
                {"ref": REFS["lora"], "digest": "ab" * 32},
                {"ref": REFS["lora_pref"], "digest": "cd" * 32},
            ]
            return Reply(200, {"adapters": adapters})
        if path == "/admin/v1/resolve":
            generator = self.overrides.get(query["tenant"][0], "base")
            found = {"generator": generator, "model": REFS[generator]}
            return Reply(200, {**found, "ready": self.ready})
        return failed(404, "not_found")


def _as_chat(reply: Reply) -> Reply:
    """The same answer in OpenAI's form."""
    given: Any = reply.body
    if reply.status != OK:
        return reply
    content = msgspec.json.encode(given["output"]).decode()
    message = {"role": "assistant", "content": content}
    body = {
        "id": given["id"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": given["usage"],
    }
    return Reply(reply.status, body, reply.headers)
