"""The dashboard's upper half: is it well, is it fast, is what goes out right."""

from typing import Final

from dashboards.kinds import ADHERENCE
from dashboards.panels import Panel, Query, Row
from dashboards.rules import REPAIRED

_RATE: Final = "[$__rate_interval]"
_SURFACE: Final = 'surface=~"$surface"'
_WHO: Final = f'tenant=~"$tenant", {_SURFACE}'
_GOOD: Final = "green"
_BAD: Final = "red"


def rows() -> tuple[Row, ...]:
    """The rows about answers, from the top."""
    return (
        Row("Now", _now()),
        Row("Latency", _latency()),
        Row("Output", (*_adherence(), *_verdicts())),
    )


def _stat(
    title: str,
    why: str,
    expr: str,
    unit: str,
    limits: tuple[tuple[float, str], ...] = (),
) -> Panel:
    return Panel(
        title=title,
        why=why,
        unit=unit,
        queries=(Query(expr),),
        kind="stat",
        width=4,
        height=4,
        limits=limits,
    )


def _now() -> tuple[Panel, ...]:
    failed = (
        f"sum(rate(wastegate_requests_total"
        f'{{{_WHO}, outcome!~"ok|client_closed"}}[5m]))'
    )
    everything = f"sum(rate(wastegate_requests_total{{{_WHO}}}[5m]))"
    outputs = f"sum(wastegate:outputs:rate5m{{{_SURFACE}}})"
    adherent = (
        f'sum(wastegate:verdicts:rate5m{{{_SURFACE}, verdict!~"invalid|truncated"}})'
    )
    return (
        _stat("Requests", "Finished, of any outcome.", everything, "reqps"),
        _stat(
            "Errors",
            "Share of requests that ended in an error's code.",
            f"({failed} or vector(0)) / ({everything} > 0)",
            "percentunit",
            ((0, _GOOD), (0.01, "orange"), (0.05, _BAD)),
        ),
        _stat(
            "Adherence now",
            "Share of checked outputs that went out conforming, over 5 minutes.",
            f"({adherent} or vector(0)) / ({outputs} > 0)",
            "percentunit",
            ((0, _BAD), (ADHERENCE, _GOOD)),
        ),
        _stat(
            "TTFT p95",
            "The slowest generator's p95 of time to first token.",
            f"max(wastegate:ttft:p95_5m{{{_SURFACE}}})",
            "s",
        ),
        _stat(
            "Replicas up",
            "Replicas that answer with their base model ready, as the gateway that"
            " sees fewest of them counts.",
            "min(sum by (instance) (wastegate_replica_up))",
            "none",
            ((0, _BAD), (1, _GOOD)),
        ),
        _stat(
            "Flag version",
            "The oldest version of the flag that a gateway routes by.",
            "min(wastegate_flag_version)",
            "none",
        ),
    )


def _quantile(q: float, metric: str) -> str:
    return (
        f"histogram_quantile({q}, sum by (le, generator)"
        f" (rate({metric}_bucket{{{_SURFACE}}}{_RATE})))"
    )


def _latency() -> tuple[Panel, ...]:
    ttft = "wastegate_time_to_first_token_seconds"
    duration = "wastegate_request_duration_seconds"
    overhead = "wastegate_overhead_seconds"
    return (
        Panel(
            title="Time to first token",
            why="From the request's arrival to the engine's first token.",
            unit="s",
            queries=(
                Query(_quantile(0.5, ttft), "{{generator}} p50"),
                Query(_quantile(0.95, ttft), "{{generator}} p95"),
            ),
        ),
        Panel(
            title="Request duration",
            why="From the request's arrival to its last byte out.",
            unit="s",
            queries=(
                Query(_quantile(0.5, duration), "{{generator}} p50"),
                Query(_quantile(0.95, duration), "{{generator}} p95"),
            ),
        ),
        Panel(
            title="The gateway's own part",
            why="Duration less the engine's part, of requests that reached it.",
            unit="s",
            queries=(
                Query(_quantile(0.5, overhead), "{{generator}} p50"),
                Query(_quantile(0.99, overhead), "{{generator}} p99"),
            ),
        ),
    )


def _adherence() -> tuple[Panel, ...]:
    legend = "{{surface}} {{generator}} {{mode}} {{model}}"
    return (
        Panel(
            title="Adherence",
            why="Share of checked outputs that went out conforming to the schema.",
            unit="percentunit",
            queries=(Query(f"wastegate:adherence:ratio_rate5m{{{_SURFACE}}}", legend),),
            maximum=1,
            limits=((0, _BAD), (ADHERENCE, _GOOD)),
        ),
        Panel(
            title="Adherence, unaided",
            why="The same before repair, re-asking and constrained decoding.",
            unit="percentunit",
            queries=(
                Query(
                    f"wastegate:adherence_unaided:ratio_rate5m{{{_SURFACE}}}", legend
                ),
            ),
            maximum=1,
        ),
        Panel(
            title="Repair rate",
            why="Share of checked outputs that went out after a repair.",
            unit="percentunit",
            queries=(Query(f"wastegate:repair:ratio_rate5m{{{_SURFACE}}}", legend),),
            maximum=1,
            limits=((0, _GOOD), (REPAIRED, _BAD)),
        ),
    )


def _verdicts() -> tuple[Panel, ...]:
    output = f'wastegate_tokens_total{{{_WHO}, direction="output"}}'
    answered = (
        "wastegate_requests_total"
        f'{{{_WHO}, outcome=~"ok|output_invalid|output_truncated"}}'
    )
    return (
        Panel(
            title="Verdicts",
            why="Checked outputs by verdict.",
            unit="reqps",
            queries=(
                Query(
                    "sum by (verdict)"
                    f" (rate(wastegate_output_verdicts_total{{{_WHO}}}{_RATE}))",
                    "{{verdict}}",
                ),
            ),
            stack="percent",
        ),
        Panel(
            title="Repairs by kind",
            why="One output may need several.",
            unit="ops",
            queries=(
                Query(
                    "sum by (generator, kind)"
                    f" (rate(wastegate_repairs_total{{{_SURFACE}}}{_RATE}))",
                    "{{generator}} {{kind}}",
                ),
            ),
            stack="normal",
        ),
        Panel(
            title="Tokens per output",
            why="Output tokens by answered request: a tune that rambles shows here.",
            unit="none",
            queries=(
                Query(
                    f"sum by (generator) (rate({output}{_RATE}))"
                    f" / sum by (generator) (rate({answered}{_RATE}))",
                    "{{generator}}",
                ),
            ),
        ),
    )
