"""The stack's two children: how vLLM and the gateway are started."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gateway.host.config import StackConfig, port_of
from gateway.host.layout import Layout
from gateway.host.status import ChildSpec, Plan

ENGINE: Final = "engine"
GATEWAY: Final = "gateway"

_ENGINE_GRACE: Final = 20.0  # nothing is in flight any more: the gateway has drained
_GATEWAY_GRACE: Final = 75.0  # its own: 5 s until unready is seen, 60 s of drain

_ENGINE_FLAGS: Final = (
    ("--max-model-len", "2048"),
    ("--max-loras", "4"),
    ("--max-lora-rank", "16"),
    # bfloat16 is emulated on CPUs without it, and several times slower
    ("--dtype", "float32"),
    # guidance compiles any of our grammars in milliseconds and refuses what it
    # cannot enforce; without the second setting its JSON is spread over lines
    (
        "--structured-outputs-config",
        '{"backend":"guidance","disable_any_whitespace":true}',
    ),
)
_ENGINE_SWITCHES: Final = (
    "--enable-lora",
    "--enforce-eager",
    "--disable-uvicorn-access-log",
)
_ENGINE_ENVIRONMENT: Final = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
    "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "PYTHONUNBUFFERED": "1",
    # vLLM renames its processes; without this it would write over the variable by
    # which `down` knows them
    "SPT_NOENV": "1",
}


def cpu_list(cpus: Iterable[int]) -> str:
    """Write a set of CPU numbers as ranges: {0, 1, 2, 5} is "0-2,5"."""
    ranges: list[list[int]] = []
    for cpu in sorted(cpus):
        if ranges and cpu == ranges[-1][1] + 1:
            ranges[-1][1] = cpu
        else:
            ranges.append([cpu, cpu])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in ranges)


def engine(layout: Layout, config: StackConfig) -> ChildSpec:
    """Describe vLLM on this machine's CPU, reachable on loopback only.

    Left alone it keeps one core back and computes on one thread; the binding gives
    it every core that this process may use.
    """
    cpus = os.sched_getaffinity(0)
    argv = [
        str(layout.engine_python),
        "-m",
        "vllm.entrypoints.openai.api_server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port_of(config.engine.replicas[0])),
        "--model",
        str(layout.model(config.engine.base)),
        "--served-model-name",
        config.engine.served_model_name,
        *_ENGINE_SWITCHES,
    ]
    for name, value in _ENGINE_FLAGS:
        argv += [name, value]
    binding = {
        # without it, requests for the base get the weights of the last adapter's slot
        "PYTHONPATH": str(layout.engine_plugin),
        "VLLM_CPU_OMP_THREADS_BIND": cpu_list(cpus),
        "OMP_NUM_THREADS": str(len(cpus)),
    }
    return ChildSpec(
        name=ENGINE,
        argv=tuple(argv),
        env=_ENGINE_ENVIRONMENT | binding,
        cwd=str(layout.root),
        log=str(layout.log_of(ENGINE)),
        grace=_ENGINE_GRACE,
    )


def gateway(layout: Layout, configs: tuple[Path, ...]) -> ChildSpec:
    """Describe the gateway, reading `configs` and then the overlay."""
    argv = [str(layout.wastegate), "serve"]
    for path in (*configs, layout.overlay):
        argv += ["--config", str(path)]
    return ChildSpec(
        name=GATEWAY,
        argv=tuple(argv),
        env={"PYTHONUNBUFFERED": "1"},
        cwd=str(layout.root),
        log=str(layout.log_of(GATEWAY)),
        grace=_GATEWAY_GRACE,
    )


def plan(
    layout: Layout,
    config: StackConfig,
    configs: tuple[Path, ...],
    *,
    overlay: bytes,
    engine_url: str | None,
) -> Plan:
    """Put the stack together.

    Args:
        layout: the stack's paths.
        config: what the files say.
        configs: the files, for the gateway to read.
        overlay: the content of the overlay that the gateway reads last.
        engine_url: a vLLM that runs already; then none is started here, nor when the
            configured replica is on another machine.

    Returns:
        The plan; its digest changes with anything that a running stack would have to
        be restarted for.
    """
    elsewhere = engine_url is not None or not config.engine_is_here
    own = () if elsewhere else (engine(layout, config),)
    children = (*own, gateway(layout, configs))
    digest = hashlib.sha256(msgspec.json.encode(children))
    for content in (*(path.read_bytes() for path in configs), overlay):
        digest.update(hashlib.sha256(content).digest())
    digest.update(os.environ.get("GENERATOR", "").encode())
    return Plan(children=children, digest=digest.hexdigest())
