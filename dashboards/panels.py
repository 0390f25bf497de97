"""The shapes of Grafana's JSON that the dashboard is made of."""

from typing import Final

import msgspec

Json = dict[str, object]

WIDTH: Final = 24
"""Columns of Grafana's grid."""
DATASOURCE: Final[Json] = {"type": "prometheus", "uid": "${datasource}"}

_LEGEND: Final[Json] = {
    "displayMode": "list",
    "placement": "bottom",
    "showLegend": True,
}
_OPTIONS: Final[dict[str, Json]] = {
    "stat": {
        "colorMode": "value",
        "graphMode": "none",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
    },
    "timeseries": {
        "legend": _LEGEND,
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "state-timeline": {
        "legend": {**_LEGEND, "showLegend": False},
        "mergeValues": True,
        "showValue": "never",
        "rowHeight": 0.8,
        "tooltip": {"mode": "single"},
    },
}


class Query(msgspec.Struct, frozen=True):
    """One PromQL expression; `legend` names its series, `{{label}}` in it is filled."""

    expr: str
    legend: str = ""


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """One panel; `unit` is one of Grafana's unit ids."""

    title: str
    why: str
    unit: str
    queries: tuple[Query, ...]
    kind: str = "timeseries"
    """`timeseries`, `stat` (the last value), or `state-timeline` (a bar a series)."""
    width: int = 8
    height: int = 8
    stack: str = "none"
    """`normal` puts series on top of one another, `percent` scales them to 100 %."""
    minimum: float | None = 0
    maximum: float | None = None
    limits: tuple[tuple[float, str], ...] = ()
    """Where the colour changes: from this value on, this colour."""


class Row(msgspec.Struct, frozen=True):
    """A titled band of panels, laid from left to right."""

    title: str
    panels: tuple[Panel, ...]


def layout(rows: tuple[Row, ...]) -> list[Json]:
    """All panels with their ids and places, filled from the top left."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        placed.append(_title(row.title, len(placed) + 1, top))
        top += 1
        left = tallest = 0
        for panel in row.panels:
            if left + panel.width > WIDTH:
                top, left, tallest = top + tallest, 0, 0
            at: Json = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append(_panel(panel, len(placed) + 1, at))
            left += panel.width
            tallest = max(tallest, panel.height)
        top += tallest
    return placed


def _title(title: str, number: int, top: int) -> Json:
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": {"x": 0, "y": top, "w": WIDTH, "h": 1},
        "panels": [],
    }


def _panel(panel: Panel, number: int, at: Json) -> Json:
    stat = panel.kind == "stat"
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.why,
        "datasource": DATASOURCE,
        "gridPos": at,
        "targets": [
            _target(query, "ABCDEFGH"[n], instant=stat)
            for n, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        "options": _OPTIONS[panel.kind],
    }


def _target(query: Query, letter: str, *, instant: bool) -> Json:
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend,
        "instant": instant,
        "range": not instant,
    }


def _field(panel: Panel) -> Json:
    steps: list[Json] = [{"value": None, "color": "text"}]
    for value, color in panel.limits:
        steps.append({"value": value, "color": color})
    series = panel.kind == "timeseries"
    field: Json = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if series else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.minimum is not None:
        field["min"] = panel.minimum
    if panel.maximum is not None:
        field["max"] = panel.maximum
    if series:
        field["custom"] = {
            "fillOpacity": 0 if panel.stack == "none" else 40,
            "lineWidth": 1,
            "showPoints": "auto",
            "stacking": {"mode": panel.stack, "group": "A"},
            "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
        }
    return field
