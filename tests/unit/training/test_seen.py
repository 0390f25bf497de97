from datetime import UTC, datetime

from training import seen
from training.checkpoints import Stage
from training.seen import Seen


def test_the_table_fits_its_terminal() -> None:
    when = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    found = (
        Seen("x" * 96, "abandoned", when, Stage(1500, 12000), "\x1b[2J" + "why " * 40),
        Seen("short@v1", "queued", None),
    )
    lines = seen.table(found, 80).splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[1].endswith("…  abandoned  2026-01-02 03:04  1500 of 12000")
    assert all(line.isprintable() for line in lines)
    assert lines[3].split() == ["short@v1", "queued"]
