"""The dashboard's last row: what the watch sees of production's outputs."""

from typing import Final

from dashboards.kinds import ADHERENCE
from dashboards.panels import Panel, Query, Row
from dashboards.watch_rules import DRIFT, SILENT

_SURFACE: Final = 'surface=~"$surface"'
_WHO: Final = "{{surface}} {{generator}} {{model}} {{mode}}"


def rows() -> tuple[Row, ...]:
    """The row about outputs that were kept; empty where nobody watches."""
    return (Row("In the wild", (*_shares(), *_drift())),)


def _shares() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Valid as it came, in the wild",
            why="Adherence before repair over the newest outputs that were kept, with"
            " its lower bound. Empty where only the flawed are kept.",
            unit="percentunit",
            queries=(
                Query(f'wastegate_eval_share{{{_SURFACE}, measure="adherence"}}', _WHO),
                Query(
                    f'wastegate_eval_share_low{{{_SURFACE}, measure="adherence"}}',
                    f"{_WHO}, 95 % bound",
                ),
            ),
            maximum=1,
            limits=((0, "red"), (ADHERENCE, "green")),
        ),
        Panel(
            title="Other measures, in the wild",
            why="Shares that need no right answer, over the newest outputs.",
            unit="percentunit",
            queries=(
                Query(
                    f'wastegate_eval_share{{{_SURFACE}, measure!="adherence"}}',
                    f"{{{{measure}}}} {_WHO}",
                ),
            ),
            maximum=1,
        ),
    )


def _drift() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Drift, in the wild",
            why="How probable the newest outputs' difference from the first ones is by"
            " chance; small is drift.",
            unit="none",
            queries=(
                Query(
                    f"wastegate_eval_drift_p_value{{{_SURFACE}}}",
                    f"{{{{feature}}}} {_WHO}",
                ),
            ),
            maximum=1,
            limits=((0, "red"), (DRIFT, "green")),
        ),
        Panel(
            title="Outputs that are kept",
            why="What the watch has to go by, and lines that cannot be read.",
            unit="none",
            queries=(
                Query(f"wastegate_eval_outputs{{{_SURFACE}}}", _WHO),
                Query("wastegate_eval_torn_lines", "torn lines"),
            ),
            width=12,
        ),
        Panel(
            title="Since the watch last looked",
            why="It is silent after two hours.",
            unit="s",
            queries=(
                Query(
                    "time() - max by (instance)"
                    " (wastegate_eval_last_run_timestamp_seconds)",
                    "{{instance}}",
                ),
            ),
            width=12,
            limits=((0, "green"), (SILENT, "red")),
        ),
    )
