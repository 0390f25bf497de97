"""Prometheus's two files, as text: `prometheus.yml` and `rules.yml`.

They are written without a YAML library: strings are JSON strings, which YAML reads,
and expressions are literal blocks, which people read.
"""

import json
import textwrap
from collections.abc import Iterable, Sequence

from dashboards.kinds import Alert, Group, Record


def scrape_config(
    *, gateways: Iterable[str], engines: Iterable[str], watches: Sequence[str] = ()
) -> str:
    """`prometheus.yml`.

    Args:
        gateways: control planes to scrape, each `host:port`.
        engines: vLLM servers to scrape, each `host:port`.
        watches: `python -m evals watch --listen` to scrape, each `host:port`.
    """
    # Without a watch there is no job: one that is always down would be an alert.
    watch = f"""\
  - job_name: wastegate-watch
    static_configs:
      - targets: {json.dumps(list(watches))}
"""
    return f"""\
global:
  scrape_interval: 10s
  scrape_timeout: 5s
  evaluation_interval: 15s
rule_files:
  - rules.yml
scrape_configs:
  - job_name: wastegate
    static_configs:
      - targets: {json.dumps(list(gateways))}
  - job_name: vllm
    static_configs:
      - targets: {json.dumps(list(engines))}
{watch if watches else ""}"""


def rule_file(groups: Iterable[Group]) -> str:
    """`rules.yml`."""
    return "groups:\n" + "".join(_group(group) for group in groups)


def _group(group: Group) -> str:
    rules = "".join(
        _record(rule) if isinstance(rule, Record) else _alert(rule)
        for rule in group.rules
    )
    return f"  - name: {group.name}\n    rules:\n{textwrap.indent(rules, ' ' * 6)}"


def _record(rule: Record) -> str:
    return f"# {rule.why}\n- record: {rule.record}\n{_expr(rule.expr)}"


def _alert(rule: Alert) -> str:
    return (
        f"- alert: {rule.alert}\n{_expr(rule.expr)}"
        f"  for: {rule.lasts}\n"
        f"  labels: {json.dumps({'severity': rule.severity})}\n"
        "  annotations:\n"
        f"    summary: {json.dumps(rule.summary)}\n"
        f"    description: {json.dumps(rule.description)}\n"
    )


def _expr(expr: str) -> str:
    return "  expr: |-\n" + textwrap.indent(expr, " " * 4) + "\n"
