"""Draw docs/pictures/session.svg: a real session against a running stack.

    .venv/bin/python docs/pictures/session.py

What is shown is what the commands printed; nothing is edited but the width.
"""

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

HERE: Final = Path(__file__).parent
ROOT: Final = HERE.parents[1]
ASK: Final = (
    'curl -s $WASTEGATE_URL/v1/assist -H "Authorization: Bearer $WASTEGATE_KEY" -d \'\n'
    '  {"input": {"context": [{"id": "S1", "text": "The kettle comes in red."},\n'
    '             {"id": "S2", "text": "Buyers of the Cobalt kettle get a guarantee'
    ' lasting 21 months."}],\n'
    '   "user": "I bought a Cobalt kettle. What guarantee do I get?"},'
    ' "temperature": 0, "max_tokens": 64}\''
)
SESSION: Final = (
    ASK,
    "wastegate flag set GENERATOR lora --tenant acme --why pilot",
    ASK,
    "wastegate adapter unmount acme-behav-lora@v1 --why 'rolling back'",
    ASK,
    "wastegate adapter mount acme-behav-lora@v1",
    "wastegate adapter list",
)


def main() -> int:
    """Run the session and write the picture; the exit code."""
    console = Console(record=True, width=118, file=io.StringIO())
    env = {**os.environ, **_local(), "COLUMNS": "118"}
    env["PATH"] = f"{ROOT / '.venv/bin'}:{env['PATH']}"
    _run("wastegate flag unset GENERATOR --tenant acme", env)
    for command in SESSION:
        console.print(Text("$ ", style="bold green") + Text(command, style="bold"))
        done = _run(command, env)
        console.print(Text((done.stdout + done.stderr).strip()))
        console.print()
    picture = console.export_svg(title="wastegate")
    # The viewer's own monospaced font will do: no picture of ours loads from a CDN.
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    (HERE / "session.svg").write_text(picture)
    return 0


def _run(command: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S602 -- the commands above, as a person types them
        command,
        shell=True,
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def _local() -> dict[str, str]:
    lines = (ROOT / "var/local.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


if __name__ == "__main__":
    sys.exit(main())
