"""`python -m dashboards`: write the generated files, or say whether they are current."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dashboards.build import Site, files, stale, write


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0, or 1 if a file is not current or not writable."""
    options = _parser().parse_args(argv)
    default = Site()
    texts = files(
        Site(
            gateways=tuple(options.gateway or default.gateways),
            engines=tuple(options.engine or default.engines),
            watches=tuple(options.watch),
            prometheus_url=options.prometheus_url,
            dashboards_path=options.dashboards_path,
            ttft_p95=options.ttft_p95,
        )
    )
    try:
        if options.check:
            return _check(texts, options.out)
        write(texts, options.out)
    except OSError as error:
        sys.stderr.write(f"{error}; --out must name a directory to write to\n")
        return 1
    sys.stdout.write("".join(f"{options.out / name}\n" for name in texts))
    return 0


def _check(texts: dict[str, str], directory: Path) -> int:
    old = stale(texts, directory)
    for name in old:
        sys.stderr.write(
            f"{directory / name} is not what this version generates;"
            f" run python -m dashboards --out {directory}\n"
        )
    return 1 if old else 0


def _parser() -> argparse.ArgumentParser:
    default = Site()
    parser = argparse.ArgumentParser(
        prog="python -m dashboards",
        description="Generate Prometheus's configuration and rules, and Grafana's"
        " dashboard and provisioning.",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("var/dashboards"),
        metavar="DIR",
        help="where the files go (default: %(default)s)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit 1 if a file in DIR is missing or out of date",
    )
    parser.add_argument(
        "--gateway",
        action="append",
        metavar="HOST:PORT",
        help=f"control plane to scrape, may be repeated (default: {default.gateways[0]})",
    )
    parser.add_argument(
        "--engine",
        action="append",
        metavar="HOST:PORT",
        help=f"vLLM to scrape, may be repeated (default: {default.engines[0]})",
    )
    parser.add_argument(
        "--watch",
        action="append",
        default=[],
        metavar="HOST:PORT",
        help="`python -m evals watch --listen` to scrape, may be repeated",
    )
    parser.add_argument(
        "--prometheus-url",
        default=default.prometheus_url,
        metavar="URL",
        help="where Grafana reaches Prometheus (default: %(default)s)",
    )
    parser.add_argument(
        "--dashboards-path",
        default=default.dashboards_path,
        metavar="DIR",
        help="DIR/grafana/dashboards as Grafana sees it (default: %(default)s)",
    )
    parser.add_argument(
        "--ttft-p95",
        type=float,
        default=default.ttft_p95,
        metavar="SECONDS",
        help="alert above this p95 of time to first token (default: %(default)s;"
        " 30 suits two CPU cores)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
