"""What an adapter has to meet before a replica hears of it."""

from pathlib import Path

import pytest

from adapters.errors import NotServable, PreflightError
from adapters.registry import Registered
from gateway.control.actions import Demands
from tests.unit.adapters import making

BASE = "smollm2-135m-instruct@1.0"


def test_what_says_that_it_cannot_be_served_is_not_loaded_wherever_it_came_from(
    tmp_path: Path,
) -> None:
    facts = making.run(servable=False, not_servable_because="it is a bottleneck")
    manifest = making.write_adapter(tmp_path, facts=facts)
    found = Registered(manifest.ref, manifest.digest, tmp_path, manifest)
    with pytest.raises(NotServable, match="it is a bottleneck"):
        Demands(BASE).check(found)


def test_an_adapter_of_another_base_is_not_loaded(tmp_path: Path) -> None:
    manifest = making.write_adapter(tmp_path)
    found = Registered(manifest.ref, manifest.digest, tmp_path, manifest)
    with pytest.raises(PreflightError, match=r"other@1\.0 is served"):
        Demands("other@1.0").check(found)
