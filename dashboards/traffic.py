"""The dashboard's lower half: who gets what, and what is mounted where."""

from typing import Final

from dashboards.panels import Panel, Query, Row

_RATE: Final = "[$__rate_interval]"
_WHO: Final = 'tenant=~"$tenant", surface=~"$surface"'
_REQUESTS: Final = f"rate(wastegate_requests_total{{{_WHO}}}{_RATE})"
_UP: Final = ((0, "red"), (1, "green"))


def rows() -> tuple[Row, ...]:
    """The rows about traffic and about what serves it."""
    return (
        Row("Routing", _routing()),
        Row("Rollouts", _rollouts()),
        Row("Adapters and replicas", (*_adapters(), *_engine())),
    )


def _routing() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Traffic split",
            why="Requests by the generator that they were routed to.",
            unit="reqps",
            queries=(
                Query(
                    f"sum by (generator, model) ({_REQUESTS})",
                    "{{generator}} {{model}}",
                ),
            ),
            stack="percent",
        ),
        Panel(
            title="Split as the flag says",
            why="Basis points of bucketed traffic; kills, overrides and surface rules"
            " come before it.",
            unit="none",
            queries=(
                Query("max by (generator) (wastegate_rollout_weight)", "{{generator}}"),
            ),
            maximum=10_000,
            stack="normal",
        ),
        Panel(
            title="Flag version by gateway",
            why="Lines that stay apart are gateways that route differently.",
            unit="none",
            queries=(Query("wastegate_flag_version", "{{instance}}"),),
            minimum=None,
        ),
        Panel(
            title="Outcomes",
            why="Finished requests by outcome.",
            unit="reqps",
            queries=(Query(f"sum by (outcome) ({_REQUESTS})", "{{outcome}}"),),
            width=12,
            stack="normal",
        ),
        Panel(
            title="Requests without a unit",
            why="A canary cannot bucket them; the base answers.",
            unit="reqps",
            queries=(
                Query(
                    "sum by (tenant, surface)"
                    f" (rate(wastegate_unit_missing_total{{{_WHO}}}{_RATE}))",
                    "{{tenant}} {{surface}}",
                ),
            ),
            width=12,
        ),
    )


def _rollouts() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Rollouts: phase",
            why="Where each rollout is, and its end.",
            unit="none",
            queries=(
                Query(
                    "max by (rollout, model, phase) (wastegate_rollout_phase) == 1",
                    "{{rollout}} {{model}} {{phase}}",
                ),
            ),
            kind="state-timeline",
            limits=_UP,
            maximum=1,
        ),
        Panel(
            title="Rollouts: weight",
            why="Basis points of a rollout's units that its candidate gets.",
            unit="none",
            queries=(
                Query(
                    "max by (rollout, model) (wastegate_rollout_step_weight)",
                    "{{rollout}} {{model}}",
                ),
            ),
        ),
        Panel(
            title="Rollouts: evidence",
            why="Logarithms to the base 10: harm rolls back at 2, good passes at 1.3,"
            " a change rolls back at 4.48.",
            unit="none",
            queries=(
                Query(
                    "max by (rollout, measure, side) (wastegate_gate_evidence)",
                    "{{rollout}} {{measure}} {{side}}",
                ),
            ),
        ),
        Panel(
            title="Rollouts: mirrored requests",
            why="A shadow that fails or is dropped proves nothing.",
            unit="reqps",
            queries=(
                Query(
                    f"sum by (outcome) (rate(wastegate_shadow_total{_RATE}))",
                    "{{outcome}}",
                ),
            ),
        ),
    )


def _adapters() -> tuple[Panel, ...]:
    return (
        Panel(
            title="Adapters' states",
            why="The state of each adapter on each replica.",
            unit="none",
            queries=(
                Query(
                    "max by (replica, model, state) (wastegate_adapter_state) == 1",
                    "{{model}} {{state}} {{replica}}",
                ),
            ),
            width=12,
            kind="state-timeline",
            limits=_UP,
            maximum=1,
        ),
        Panel(
            title="Bindings",
            why="Which ref a generator means.",
            unit="none",
            queries=(
                Query(
                    "max by (generator, model) (wastegate_binding)",
                    "{{generator}} = {{model}}",
                ),
            ),
            width=6,
            kind="state-timeline",
            limits=_UP,
            maximum=1,
        ),
        Panel(
            title="Replicas and store up",
            why="As each gateway sees them.",
            unit="none",
            queries=(
                Query("min by (replica) (wastegate_replica_up)", "{{replica}}"),
                Query("min(wastegate_store_up)", "store"),
            ),
            width=6,
            kind="state-timeline",
            limits=_UP,
            maximum=1,
        ),
    )


def _engine() -> tuple[Panel, ...]:
    return (
        Panel(
            title="In flight",
            why="Requests inside each gateway.",
            unit="none",
            queries=(Query("wastegate_in_flight", "{{instance}}"),),
        ),
        Panel(
            title="Engine: running and waiting",
            why="vLLM's own count; a waiting line that grows is overload.",
            unit="none",
            queries=(
                Query(
                    "sum by (instance) (vllm:num_requests_running)",
                    "running {{instance}}",
                ),
                Query(
                    "sum by (instance) (vllm:num_requests_waiting)",
                    "waiting {{instance}}",
                ),
            ),
        ),
        Panel(
            title="Engine: KV cache in use",
            why="At 100 % vLLM preempts requests.",
            unit="percentunit",
            queries=(
                Query("max by (instance) (vllm:kv_cache_usage_perc)", "{{instance}}"),
            ),
            maximum=1,
        ),
    )
