"""Schemas of the configuration, and the ones that requests refer to."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.engine.fake import FakeVllm
from gateway.errors import SettingsError
from gateway.surfaces import compiled_surfaces, registered_schemas
from tests.stack import running
from tests.unit.gateway.conftest import Configured
from tests.unit.gateway.test_assist import saying

MONEY: dict[str, Any] = {"$id": "https://acme.test/money", "type": "integer"}
PRICED = {"properties": {"price": {"$ref": "https://acme.test/money"}}}


def written(where: Path, name: str, document: object) -> str:
    path = where / f"{name}.json"
    path.write_text(json.dumps(document))
    return str(path)


async def test_a_request_may_refer_to_a_registered_schema(
    configured: Configured, fake_vllm: FakeVllm, tmp_path: Path
) -> None:
    extra = f'[schemas]\nmoney = "{written(tmp_path, "money", MONEY)}"'
    asked = {"type": "json_schema", "json_schema": {"name": "p", "schema": PRICED}}
    async with running(configured(extra)) as stack:
        fake_vllm.quirks = saying('{"price": 3}', '{"price": "three"}')
        await stack.all_ready()
        fake_vllm.quirks = saying('{"price": 3}', '{"price": "three"}')
        assert (await stack.chat(response_format=asked)).status == 200
        refused = await stack.chat(response_format=asked)
    assert refused.json["error"]["path"] == "/price"


def test_a_surface_may_refer_to_a_registered_schema(
    configured: Configured, tmp_path: Path
) -> None:
    money = written(tmp_path, "money", MONEY)
    priced = written(tmp_path, "priced", PRICED)
    extra = f'[schemas]\nmoney = "{money}"\n[surfaces.shop]\nschema = "{priced}"'
    settings = configured(extra)
    schema = compiled_surfaces(settings, registered_schemas(settings))["shop"].schema
    assert schema is not None
    assert schema.errors({"price": 3}) is None
    assert schema.errors({"price": "3"}) is not None


@pytest.mark.parametrize(
    ("document", "hint"),
    [
        ({"type": "integer"}, "has no \\$id"),
        (True, "has no \\$id"),
        ({"$id": "https://acme.test/a", "type": "nombre"}, "does not compile"),
        ({"$id": "https://acme.test/a", "$ref": "file:///etc/passwd"}, "registered"),
    ],
)
def test_a_registered_schema_that_cannot_be_used_stops_the_start(
    configured: Configured, tmp_path: Path, document: object, hint: str
) -> None:
    extra = f'[schemas]\nmoney = "{written(tmp_path, "money", document)}"'
    settings = configured(extra)
    with pytest.raises(SettingsError, match=hint) as caught:
        compiled_surfaces(settings, registered_schemas(settings))
    assert caught.value.path == "schemas.money"


def test_two_schemas_of_one_name_stop_the_start(
    configured: Configured, tmp_path: Path
) -> None:
    one = written(tmp_path, "one", MONEY)
    other = written(tmp_path, "other", MONEY | {"type": "number"})
    settings = configured(f'[schemas]\none = "{one}"\nother = "{other}"')
    with pytest.raises(SettingsError, match="another schema has"):
        registered_schemas(settings)
