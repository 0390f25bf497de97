"""The files of kept lines: private, bounded, and whole up to their last line."""

import errno
import os
from pathlib import Path

import pytest

from gateway.keep.files import PATTERN, Files, obstacle
from gateway.keep.limits import KeepLimits
from structured.kept import Feedback, encode, read

NOON = 1_800_000_000.0 - 1_800_000_000 % 86_400 + 43_200
DAY = 86_400
LINE = b"x" * 1023 + b"\n"


class Clock:
    """Seconds since the epoch, as a test wants them."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


class Disk:
    """`os.write` until it is full; `room` is what still fits."""

    def __init__(self) -> None:
        self.room = 1 << 30

    def __call__(self, file: int, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, "no space left")
        written = os.write(file, data[: self.room])
        self.room -= written
        return written


@pytest.fixture
def clock() -> Clock:
    return Clock()


def limits(tmp_path: Path, *, files: int = 4, days: int = 30) -> KeepLimits:
    """Files of four lines."""
    return KeepLimits(
        directory=str(tmp_path / "deep" / "kept"),
        record_bytes=1024,
        file_bytes=4096,
        total_bytes=4096 * files,
        days=days,
    )


def kept(tmp_path: Path) -> list[Path]:
    found = (tmp_path / "deep" / "kept").glob(PATTERN)
    return sorted(found)


def test_nothing_is_touched_before_the_first_line(tmp_path: Path, clock: Clock) -> None:
    Files(limits(tmp_path), now=clock).tidy()
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_can_read_what_is_kept(tmp_path: Path, clock: Clock) -> None:
    before = os.umask(0)
    try:
        Files(limits(tmp_path), now=clock).append(LINE)
    finally:
        os.umask(before)
    (path,) = kept(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_file_never_grows_over_its_limit(tmp_path: Path, clock: Clock) -> None:
    files = Files(limits(tmp_path), now=clock)
    for _ in range(9):
        files.append(LINE)
    assert [path.stat().st_size for path in kept(tmp_path)] == [4096, 4096, 1024]


def test_all_files_together_never_grow_over_theirs_and_the_oldest_goes(
    tmp_path: Path, clock: Clock
) -> None:
    files = Files(limits(tmp_path, files=3), now=clock)
    seen: list[Path] = []
    for _ in range(40):
        files.append(LINE)
        seen += [path for path in kept(tmp_path) if path not in seen]
        assert sum(path.stat().st_size for path in kept(tmp_path)) <= 3 * 4096
    assert len(seen) == 10
    assert kept(tmp_path) == seen[-3:]


def test_a_new_day_begins_a_new_file(tmp_path: Path, clock: Clock) -> None:
    files = Files(limits(tmp_path), now=clock)
    files.append(LINE)
    clock.now += DAY
    files.append(LINE)
    assert len(kept(tmp_path)) == 2


def test_what_is_too_old_is_deleted_even_if_nothing_comes(
    tmp_path: Path, clock: Clock
) -> None:
    files = Files(limits(tmp_path, days=2), now=clock)
    files.append(LINE)
    (path,) = kept(tmp_path)
    clock.now += 2 * DAY
    files.tidy()
    assert kept(tmp_path) == [path]
    clock.now += DAY
    files.tidy()
    assert kept(tmp_path) == []


@pytest.mark.parametrize("room", [0, 1, 700, 1023])
def test_a_full_disk_costs_the_line_and_never_half_of_one(
    tmp_path: Path, clock: Clock, room: int
) -> None:
    disk = Disk()
    files = Files(limits(tmp_path), now=clock, write=disk)
    files.append(LINE)
    disk.room = room
    with pytest.raises(OSError, match="no space"):
        files.append(LINE)
    assert [path.read_bytes() for path in kept(tmp_path)] == [LINE]
    disk.room = 1 << 30
    files.append(LINE)
    assert [path.read_bytes() for path in kept(tmp_path)] == [LINE * 2]


def test_half_a_line_that_cannot_be_taken_back_ends_its_file(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(file: int, length: int) -> None:
        raise OSError(errno.EIO, "broken")

    disk = Disk()
    files = Files(limits(tmp_path), now=clock, write=disk)
    monkeypatch.setattr(os, "ftruncate", broken)
    disk.room = 100
    with pytest.raises(OSError, match="no space"):
        files.append(LINE)
    disk.room = 1 << 30
    files.append(LINE)
    assert [path.read_bytes() for path in kept(tmp_path)] == [LINE[:100], LINE]


def test_what_a_crash_has_cut_is_left_behind_and_counted(
    tmp_path: Path, clock: Clock
) -> None:
    line = encode(
        Feedback(
            id="fb_1",
            at="2027-01-15T12:00:00.000+00:00",
            request_id="r",
            of=None,
            tenant="acme",
            surface="assist",
            generator="base",
            model="base@1",
            rating="up",
        )
    )
    Files(limits(tmp_path), now=clock).append(line)
    (cut,) = kept(tmp_path)
    with cut.open("ab") as file:
        file.write(line[:-9])
    Files(limits(tmp_path), now=clock).append(line)
    texts = [path.read_bytes() for path in kept(tmp_path)]
    assert sorted(map(len, texts)) == [len(line), 2 * len(line) - 9]
    found = [read(text.splitlines()) for text in texts]
    assert sorted((len(each.lines), each.torn) for each in found) == [(1, 0), (1, 1)]


def test_two_gateways_share_a_directory_and_neither_deletes_what_the_other_writes(
    tmp_path: Path, clock: Clock
) -> None:
    one = Files(limits(tmp_path, files=1), now=clock)
    two = Files(limits(tmp_path, files=1), now=clock)
    one.append(LINE)
    (first,) = kept(tmp_path)
    for _ in range(9):
        two.append(LINE)
    assert first.exists()
    assert len(kept(tmp_path)) == 2
    one.close()
    for _ in range(4):
        two.append(LINE)
    assert not first.exists()


def test_a_file_that_somebody_deletes_is_replaced(tmp_path: Path, clock: Clock) -> None:
    files = Files(limits(tmp_path), now=clock)
    files.append(LINE)
    kept(tmp_path)[0].unlink()
    files.append(LINE)
    assert [path.read_bytes() for path in kept(tmp_path)] == [LINE]


def test_a_directory_that_cannot_be_made_is_an_error_until_it_can(
    tmp_path: Path, clock: Clock
) -> None:
    files = Files(limits(tmp_path), now=clock)
    (tmp_path / "deep").write_text("in the way")
    with pytest.raises(OSError, match="deep"):
        files.append(LINE)
    (tmp_path / "deep").unlink()
    files.append(LINE)
    assert len(kept(tmp_path)) == 1


def test_what_stands_in_a_directory_s_way_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert obstacle(tmp_path / "deep" / "kept") is None
    assert not (tmp_path / "deep").exists()
    (tmp_path / "deep").write_text("in the way")
    assert obstacle(tmp_path / "deep") == f"{tmp_path}/deep is not a directory"

    def denied(path: Path, mode: int) -> bool:
        return path != tmp_path or not mode & os.W_OK

    monkeypatch.setattr(os, "access", denied)  # root may write everywhere
    said = obstacle(tmp_path / "other" / "kept")
    assert said == f"{tmp_path} cannot be written by this user"


def test_closing_gives_every_descriptor_back(tmp_path: Path, clock: Clock) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    files = Files(limits(tmp_path, files=2), now=clock)
    for _ in range(20):
        files.append(LINE)
    files.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
