"""Alerts on what `python -m evals watch` sees of production's outputs."""

from typing import Final

from dashboards.kinds import ADHERENCE, MIN_OUTPUTS, Alert

DRIFT: Final = 0.01
"""Holm's p-value below which a window of outputs has drifted. The watch tests again as
outputs come, so a level of 5 % would cry wolf before long."""
SILENT: Final = 7200
"""Seconds without a look after which the watch is silent; it looks hourly at least."""


def alerts() -> tuple[Alert, ...]:
    """Tickets all: nothing here is an outage."""
    adherence = 'measure="adherence", generator!="base"'
    return (
        Alert(
            "WastegateAdherenceInTheWildLow",
            f"wastegate_eval_share_high{{{adherence}}} < {ADHERENCE}\n"
            f"and wastegate_eval_samples{{{adherence}}} >= {MIN_OUTPUTS}",
            "15m",
            "ticket",
            "{{ $labels.model }} on {{ $labels.surface }}: below its gate in the wild",
            "Of the newest outputs that were kept ({{ $labels.generator }},"
            " {{ $labels.mode }} decoding) even the upper 95 % bound of those that were"
            " valid as they came is {{ $value | humanizePercentage }}; the gate that the"
            " tune has passed asks for 99 %.",
        ),
        Alert(
            "WastegateDriftInTheWild",
            f"min without (feature) (wastegate_eval_drift_p_value) < {DRIFT}",
            "1h",
            "ticket",
            "{{ $labels.model }} on {{ $labels.surface }}: outputs have drifted",
            "The newest outputs ({{ $labels.generator }}, {{ $labels.mode }} decoding)"
            " are not like the first that were kept of it, p = {{ $value }}. In what,"
            " the dashboard says; whether for the worse, python -m evals suite.",
        ),
        Alert(
            "WastegateWatchSilent",
            "max by (instance)"
            f" (time() - wastegate_eval_last_run_timestamp_seconds) > {SILENT}\n"
            'or max by (instance) (up{job="wastegate-watch"}) == 0',
            "10m",
            "ticket",
            "The watch at {{ $labels.instance }} is silent",
            "Nobody looks at what production answers: python -m evals watch is down, or"
            " cannot read what is kept.",
        ),
    )
