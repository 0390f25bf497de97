"""What is learned about one request on its way; becomes the one frozen record."""

import time
from typing import Final

from gateway.pipeline.call import Call
from gateway.telemetry.record import Mode, RequestFinished

NOT_ASKED: Final = "unresolved"


class Trace:
    """Filled in as the request goes down and comes back up; read once, at the end."""

    __slots__ = (
        "call",
        "completion_tokens",
        "generator",
        "model",
        "prompt_tokens",
        "reason",
        "repairs",
        "request_id",
        "started",
        "stream",
        "surface",
        "tenant",
        "ttft",
        "upstream",
        "verdict",
    )

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.started = time.perf_counter()
        self.call: Call | None = None
        self.tenant = ""
        self.surface = ""
        self.generator = ""
        self.model = ""
        self.reason = ""
        self.verdict: str | None = None
        self.repairs: tuple[str, ...] = ()
        self.stream = False
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.ttft: float | None = None
        self.upstream = 0.0

    def first_token(self) -> None:
        """The engine's first content has come; later calls change nothing."""
        if self.ttft is None:
            self.ttft = time.perf_counter() - self.started

    def used(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add what an exchange with the engine used; a re-ask adds to the first."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def finish(self, outcome: str) -> RequestFinished:
        """The record; `outcome` is `ok`, an error's code, or `client_closed`."""
        call = self.call
        mode: Mode = "none" if call is None else call.mode
        return RequestFinished(
            request_id=self.request_id,
            tenant=self.tenant,
            surface=self.surface,
            generator=self.generator,
            model=self.model,
            reason=self.reason,
            outcome=outcome,
            verdict=self.verdict,
            mode=mode,
            stream=self.stream,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            ttft=self.ttft,
            duration=time.perf_counter() - self.started,
            upstream=self.upstream,
            repairs=self.repairs,
        )

    def timing(self) -> bytes:
        """`Server-Timing`: milliseconds to the first token, and so far."""
        total = f"total;dur={(time.perf_counter() - self.started) * 1e3:.2f}"
        if self.ttft is None:
            return total.encode()
        return f"ttft;dur={self.ttft * 1e3:.2f}, {total}".encode()
