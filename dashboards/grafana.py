"""The Grafana dashboard, and the two files that make Grafana load it.

Grafana keeps no copy that somebody could edit: a change to the dashboard is a change
to this code.
"""

import json
from typing import Final

from dashboards import answers, traffic, wild
from dashboards.panels import DATASOURCE, Json, layout

UID: Final = "wastegate"
SCHEMA_VERSION: Final = 41
"""Grafana 12's; older ones are migrated upwards, newer ones are not refused."""


def dashboard() -> Json:
    """The dashboard's JSON model."""
    return {
        "uid": UID,
        "title": "Wastegate",
        "description": "Routing, latency, checked output and adapters of Wastegate.",
        "tags": ["wastegate", "llm", "lora"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "10s",
        "graphTooltip": 1,
        "annotations": {"list": [_flag_changes()]},
        "templating": {"list": _variables()},
        "panels": layout((*answers.rows(), *traffic.rows(), *wild.rows())),
    }


def provisioning(*, prometheus_url: str, dashboards_path: str) -> dict[str, str]:
    """What goes under Grafana's provisioning directory: relative path to text.

    Args:
        prometheus_url: where Grafana's server, not the browser, reaches Prometheus.
        dashboards_path: the directory of the dashboard, as Grafana sees it.
    """
    return {
        "datasources/wastegate.yml": f"""\
apiVersion: 1
datasources:
  - name: Prometheus
    uid: prometheus
    type: prometheus
    access: proxy
    url: {json.dumps(prometheus_url)}
    isDefault: true
    editable: false
    jsonData: {{"timeInterval": "10s"}}
""",
        "dashboards/wastegate.yml": f"""\
apiVersion: 1
providers:
  - name: wastegate
    type: file
    disableDeletion: true
    allowUiUpdates: false
    options: {{"path": {json.dumps(dashboards_path)}}}
""",
    }


def _variables() -> list[Json]:
    return [
        {
            "name": "datasource",
            "type": "datasource",
            "label": "Prometheus",
            "query": "prometheus",
        },
        _choice("tenant", "wastegate_requests_total"),
        _choice("surface", "wastegate_requests_total"),
    ]


def _choice(label: str, metric: str) -> Json:
    return {
        "name": label,
        "type": "query",
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({metric}, {label})", "refId": label},
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }


def _flag_changes() -> Json:
    return {
        "name": "Flag changes",
        "enable": True,
        "datasource": DATASOURCE,
        "expr": "changes(max(wastegate_flag_version)[1m:10s]) > 0",
        "titleFormat": "flag changed",
        "iconColor": "orange",
        "step": "10s",
    }
