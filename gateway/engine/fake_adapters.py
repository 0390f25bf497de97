"""The fake's adapters: vLLM's manners in loading, unloading and forgetting them."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec

from gateway.engine import fake_wire as wire
from gateway.engine.fake_quirks import Quirks

_CONFIG: Final = "adapter_config.json"


class Load(msgspec.Struct, frozen=True):
    """A load's body; both paths and names are vLLM's to take."""

    lora_name: str = ""
    lora_path: str = ""
    load_inplace: bool = False


class Unload(msgspec.Struct, frozen=True):
    """An unload's body."""

    lora_name: str = ""


class FakeAdapters:
    """What is loaded, what is a ghost, and what is read again at every step.

    Args:
        base: the base model's served name.
        mounted: adapters that are there from each start on.
    """

    def __init__(self, base: str, mounted: Sequence[str]) -> None:
        self._base = base
        self._mounted = MappingProxyType({name: f"/static/{name}" for name in mounted})
        self._loading: set[asyncio.Task[None]] = set()
        self.forget()

    def forget(self) -> None:
        """Start anew: all that was loaded while it ran is gone."""
        self.names: dict[str, str] = dict(self._mounted)
        """Paths by the names that `/v1/models` lists."""
        self._ghosts: dict[str, str] = {}
        self._in_place: set[str] = set()

    def cancel(self) -> None:
        """End the loads that go on."""
        for task in self._loading:
            task.cancel()

    def answers(self, name: str) -> bool:
        """Whether a name gets an answer; one that is not listed any more may."""
        return name == self._base or name in self.names or name in self._ghosts

    async def load(self, raw: bytes, quirks: Quirks) -> str:
        """Load an adapter, also when its client has left; what vLLM says of it.

        Raises:
            wire.Refusal: as vLLM refuses.
        """
        given = _body(raw, Load)
        # In a task of its own: vLLM goes on loading when the client has left.
        task = asyncio.create_task(self._add(given, quirks))
        self._loading.add(task)
        task.add_done_callback(self._loading.discard)
        await asyncio.shield(task)
        return f"Success: LoRA adapter '{given.lora_name}' added successfully."

    async def _add(self, given: Load, quirks: Quirks) -> None:
        self._may_load(given)
        await asyncio.sleep(quirks.load_delay)
        self._may_load(given)
        name, path = given.lora_name, given.lora_path
        if quirks.load_error:
            message = f"Call to add_lora method failed: cannot load {name}"
            raise wire.Refusal(quirks.load_error, "InternalServerError", message)
        if not await _is_there(path):
            message = f"Loading lora {name} failed: No adapter found for {path}"
            raise wire.Refusal(404, "NotFoundError", message)
        self.names[name] = path
        if given.load_inplace:
            self._in_place.add(name)

    def _may_load(self, given: Load) -> None:
        name = given.lora_name
        if not name or not given.lora_path:
            message = "Both 'lora_name' and 'lora_path' must be provided."
        elif name == self._base:
            message = f"The lora adapter '{name}' conflicts with a served base model."
        elif name in self.names and not given.load_inplace:
            message = (
                f"The lora adapter '{name}' has already been loaded. If you want to"
                " load the adapter in place, set 'load_inplace' to True."
            )
        else:
            return
        raise wire.Refusal(400, "InvalidUserInput", message)

    def unload(self, raw: bytes, quirks: Quirks) -> str:
        """Take a name away; what vLLM says of it.

        Raises:
            wire.Refusal: as vLLM refuses.
        """
        name = _body(raw, Unload).lora_name
        if not name:
            message = "'lora_name' needs to be provided to unload a LoRA adapter."
            raise wire.Refusal(400, "InvalidUserInput", message)
        if name not in self.names:
            message = f"The lora adapter '{name}' cannot be found."
            raise wire.Refusal(404, "NotFoundError", message)
        path = self.names.pop(name)
        if quirks.ghost_unload:
            self._ghosts[name] = path
        return f"Success: LoRA adapter '{name}' removed successfully."

    async def step(self, name: str) -> bool:
        """Do what a step of the engine does with an adapter; whether it survives.

        One that was ever loaded in place is read from the disk at every step, and a
        file that is gone ends the engine's loop.
        """
        path = self.names.get(name)
        return path is None or name not in self._in_place or await _is_there(path)


async def _is_there(path: str) -> bool:
    return await asyncio.to_thread((Path(path) / _CONFIG).is_file)


def running_names(
    asked: Sequence[Mapping[str, object]], names: Mapping[str, str]
) -> str:
    """Name the adapters among models that are being asked, as a metric's label does."""
    return ",".join(sorted({str(body.get("model")) for body in asked} & names.keys()))


_T = TypeVar("_T")


def _body(raw: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise wire.bad_request(f"1 validation error:\n  {error}") from error
