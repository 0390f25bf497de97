"""What `bench.swap` has seen, and its report."""

import statistics
from collections import Counter
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from bench.errors import BenchError

CLIENTS: Final = 8
"""Of the base, and as many of the adapter in the run that has both."""
SWAPS: Final = 20
ADAPTER: Final = "acme-behav-lora@v1"
OTHER: Final = "acme-behav-pref@v1"
"""What takes its place in a hot swap, and gives way again."""
TOKENS: Final = 24

Phase = Literal["before", "swap"]


class Served(msgspec.Struct, frozen=True):
    """One request: in which phase it began, who answered, and when it first spoke."""

    phase: Phase
    model: str
    ttft: float | None
    """Seconds; None for one that was refused."""
    outcome: str
    """`ok`, an error's code, or `broken`: a stream that did not end as it should."""


class Swapped(msgspec.Struct, frozen=True):
    """What one run showed."""

    what: str
    served: tuple[Served, ...]
    seconds: tuple[float, float]
    """Of the two phases."""

    def ttfts(self, phase: Phase) -> list[float]:
        """The base's times to the first token in a phase, sorted; seconds."""
        return sorted(
            each.ttft
            for each in self.served
            if each.phase == phase
            and each.model not in (ADAPTER, OTHER)
            and each.ttft is not None
        )

    @property
    def rows(self) -> list[str]:
        """Rows of a Markdown table."""
        rows: list[str] = []
        for phase, seconds in zip(("before", "swap"), self.seconds, strict=True):
            times = self.ttfts(phase)
            p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
            counted = Counter(
                each.outcome for each in self.served if each.phase == phase
            )
            told = ", ".join(f"{n} {what}" for what, n in sorted(counted.items()))
            rows.append(
                f"| {self.what} | {phase} | {seconds:.0f} s | {len(times)} |"
                f" {p50:.3f} | {p95:.3f} | {told} |"
            )
        return rows

    @property
    def ratio(self) -> float:
        """The base's p95 time to the first token, while swapping over before."""
        return quantile(self.ttfts("swap"), 0.95) / quantile(self.ttfts("before"), 0.95)


class First(msgspec.Struct, frozen=True):
    """Times to the first token after swaps, in seconds."""

    first: tuple[float, ...]
    """Of the first request after each swap."""
    warm: tuple[float, ...]
    """Of the requests that followed."""
    mount: tuple[float, ...]
    """From the order to mount until it was proven and ready."""

    @property
    def ratio(self) -> float:
        """Of the medians, first over warm."""
        return statistics.median(self.first) / statistics.median(self.warm)


def quantile(ordered: list[float], q: float) -> float:
    """The smallest value that at least the share `q` does not exceed.

    Raises:
        BenchError: there is nothing to take it of.
    """
    if not ordered:
        raise BenchError("no request of the base was answered; is the stack up?")
    return ordered[max(0, -(-int(len(ordered) * q * 1000) // 1000) - 1)]


def report(first: First, *swapped: Swapped) -> str:
    """The document, in Markdown."""
    today = datetime.now(UTC).date()  # noqa: TID251 -- a report's date
    firsts, warm = sorted(first.first), sorted(first.warm)
    ratios = "; ".join(f"{each.what}: **{each.ratio:.2f}**" for each in swapped)
    return "\n".join(
        [
            "# What a hot swap costs",
            "",
            (
                f"Made on {today} by `python -m bench swap` on the stack of `make up`:"
                f" {SWAPS} swaps, one right after the other, streams of {TOKENS}"
                f" tokens, {CLIENTS} clients of the base (and of the adapter). With the"
                f" base's clients alone, {ADAPTER} is unmounted and mounted again; with"
                f" the adapter's clients it is a hot swap: {OTHER} is mounted, `lora` is"
                f" bound to it, {ADAPTER} is unmounted; and back."
            ),
            "",
            "## Those who stay on the base",
            "",
            "| clients | phase | lasted | base n | TTFT p50, s | p95, s | outcomes |",
            "|---|---|--:|--:|--:|--:|---|",
            *(row for each in swapped for row in each.rows),
            "",
            f"The base's TTFT p95 while swapping, over before (bar 1.5): {ratios}.",
            "",
            "## The first one to come back",
            "",
            "| requests, on an idle machine | n | TTFT p50, s | p95, s |",
            "|---|--:|--:|--:|",
            *(
                f"| {what} | {len(times)} | {quantile(times, 0.5):.3f} |"
                f" {quantile(times, 0.95):.3f} |"
                for what, times in (
                    ("the first after a swap", firsts),
                    ("the next ones", warm),
                )
            ),
            "",
            f"First over warm, of the medians (bar 1.3): **{first.ratio:.2f}**.",
            (
                "A swap, from the order to unmount until the adapter was proven and"
                f" ready again: p50 {statistics.median(first.mount):.2f} s, longest"
                f" {max(first.mount):.2f} s."
            ),
            "",
        ]
    )
