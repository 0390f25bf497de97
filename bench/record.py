"""Puts the canary's record at the end of the results: `python -m bench record`.

`make results` writes docs/results.md anew, and ends with this.
"""

from pathlib import Path
from typing import Final

from bench.errors import BenchError

CANARY: Final = Path("docs/canary.md")
RESULTS: Final = Path("docs/results.md")
TITLE: Final = "A canary that judged itself, on the real vLLM"


def main(canary: Path = CANARY, results: Path = RESULTS) -> int:
    """Replace what `results` has of it by what is in `canary`."""
    try:
        told, table = canary.read_text("utf-8"), results.read_text("utf-8")
    except OSError as error:
        raise BenchError(
            f"{error.filename} is missing: `python -m bench canary` makes the record,"
            " `make results` the table"
        ) from error
    head, found, body = told.partition(f"# {TITLE}\n")
    if head or not found:
        raise BenchError(f"{canary} does not begin with `# {TITLE}`")
    before = table.partition(f"\n## {TITLE}\n")[0].rstrip("\n")
    results.write_text(f"{before}\n\n## {TITLE}\n{body}", "utf-8")
    return 0
