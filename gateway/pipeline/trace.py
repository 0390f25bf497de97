"""What is learned about one request on its way; becomes the one frozen record."""

import time
from typing import Final, Literal

import msgspec

from gateway.pipeline.call import Call
from gateway.telemetry.record import Mode, Rejection, RequestFinished
from routing.decision import Membership
from structured.outcome import Accepted, Rejected

AttemptKind = Literal["first", "reask", "constrained"]

NOT_ASKED: Final = "unresolved"


class Attempt(msgspec.Struct, frozen=True):
    """One output of the engine, and what the check said of it."""

    kind: AttemptKind
    said: bytes
    """The engine's own bytes."""
    outcome: Accepted | Rejected


class Trace:
    """Filled in as the request goes down and comes back up; read once, at the end."""

    __slots__ = (
        "attempts",
        "call",
        "completion_tokens",
        "failed",
        "generator",
        "member",
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
        self.member: Membership | None = None
        """The rollout that its outcome counts for."""
        self.verdict: str | None = None
        self.repairs: tuple[str, ...] = ()
        self.attempts: list[Attempt] = []
        """Every output that was checked, in order."""
        self.failed: tuple[AttemptKind, str] | None = None
        """A further attempt that brought no output, and the error's code."""
        self.stream = False
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.ttft: float | None = None
        self.upstream = 0.0

    def first_token(self) -> None:
        """The engine's first content has come; later calls change nothing."""
        if self.ttft is None:
            self.ttft = time.perf_counter() - self.started

    def again(self) -> None:
        """Another replica is asked: nothing of the first one's answer has gone out."""
        self.ttft = None

    def used(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add what an exchange with the engine used; a re-ask adds to the first."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens

    def told(self) -> list[dict[str, str]]:
        """What was tried, for the client: each refused output, and what failed."""
        tried = [
            {"attempt": kind, "stage": stage, "code": code}
            for kind, stage, code in self.rejections()
        ]
        if self.failed is not None:
            kind, code = self.failed
            tried.append({"attempt": kind, "stage": "upstream", "code": code})
        return tried

    def rejections(self) -> tuple[Rejection, ...]:
        """The refused outputs."""
        return tuple(
            Rejection(attempt.kind, attempt.outcome.stage, attempt.outcome.code)
            for attempt in self.attempts
            if isinstance(attempt.outcome, Rejected)
        )

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
            rejections=self.rejections(),
        )

    def timing(self) -> bytes:
        """`Server-Timing`: milliseconds to the first token, and so far."""
        total = f"total;dur={(time.perf_counter() - self.started) * 1e3:.2f}"
        if self.ttft is None:
            return total.encode()
        return f"ttft;dur={self.ttft * 1e3:.2f}, {total}".encode()
