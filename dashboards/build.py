"""All generated files together: what they are called and where they go."""

import json
from pathlib import Path

import msgspec

from dashboards import grafana, prometheus, rules


class Site(msgspec.Struct, frozen=True):
    """What differs from one installation to the next."""

    gateways: tuple[str, ...] = ("127.0.0.1:8081",)
    """Control planes that Prometheus scrapes, each `host:port`."""
    engines: tuple[str, ...] = ("127.0.0.1:8000",)
    """vLLM servers that Prometheus scrapes, each `host:port`."""
    watches: tuple[str, ...] = ()
    """Where `python -m evals watch` listens, each `host:port`."""
    prometheus_url: str = "http://127.0.0.1:9090"
    """Where Grafana reaches Prometheus."""
    dashboards_path: str = "/etc/wastegate/grafana/dashboards"
    """The directory of the dashboard, as Grafana sees it."""
    ttft_p95: float = 2.0
    """Seconds above which the p95 of time to first token is an alert."""


def files(site: Site) -> dict[str, str]:
    """Each generated file: path below the output directory, to its text."""
    model = json.dumps(grafana.dashboard(), indent=2) + "\n"
    provisioning = grafana.provisioning(
        prometheus_url=site.prometheus_url, dashboards_path=site.dashboards_path
    )
    return {
        "prometheus/prometheus.yml": prometheus.scrape_config(
            gateways=site.gateways, engines=site.engines, watches=site.watches
        ),
        "prometheus/rules.yml": prometheus.rule_file(
            rules.groups(ttft_p95=site.ttft_p95)
        ),
        "grafana/dashboards/wastegate.json": model,
        **{f"grafana/provisioning/{path}": text for path, text in provisioning.items()},
    }


def write(texts: dict[str, str], directory: Path) -> None:
    """Write each file below `directory`; a reader never sees half of one.

    Raises:
        OSError: the directory cannot be written to.
    """
    for name, text in texts.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)


def stale(texts: dict[str, str], directory: Path) -> list[str]:
    """The files below `directory` that are missing or differ.

    Raises:
        OSError: a file is there but cannot be read.
    """
    return [name for name, text in texts.items() if _read(directory / name) != text]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return None
