"""`python -m gateway.host ROOT [LEASE]`: the supervisor's process; see `launch`."""

import sys
from pathlib import Path

from gateway.host import supervisor
from gateway.host.errors import HostError


def main(arguments: list[str]) -> int:
    """Run the supervisor of ROOT, with a lease on descriptor LEASE if given."""
    root, *rest = arguments
    try:
        return supervisor.run(Path(root), int(rest[0]) if rest else None)
    except HostError as error:
        sys.stderr.write(f"{error.message}: {error.advice}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
