"""What has to lie in the volumes before the stack starts; run by the image, once.

Writes Prometheus's and Grafana's files, and registers the adapters that come with the
repository. It may run again at each start: both leave alone what is there already.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.errors import AdapterError
from adapters.registry import Registry
from dashboards.__main__ import main as dashboards


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the volumes; arguments that are not its own go to `dashboards`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", type=Path, required=True, metavar="DIR")
    parser.add_argument("--shipped", type=Path, required=True, metavar="DIR")
    options, others = parser.parse_known_args(argv)
    registry = Registry(options.registry)
    for manifest in sorted(options.shipped.glob("*/manifest.json")):
        try:
            entry = registry.add(manifest.parent)
        except AdapterError as error:
            sys.stderr.write(f"{manifest.parent.name} cannot be registered: {error}\n")
            return 1
        sys.stdout.write(f"{entry.ref} is registered\n")
    return dashboards(others)


if __name__ == "__main__":
    sys.exit(main())
