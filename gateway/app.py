"""The composition root: the only place where things are put together.

`create_app` builds and touches nothing outside; the data plane's lifespan opens,
starts the loops, and closes what it opened.
"""

import asyncio
import hashlib
import hmac
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from fastapi import FastAPI
from starlette.routing import Route

from adapters.lifecycle import State
from adapters.refs import AdapterRef, BaseRef
from adapters.registry import Registry
from gateway.api import control_adapters, control_flags, errors, metrics
from gateway.api.access import Keys
from gateway.api.assist import assist
from gateway.api.completions import completions
from gateway.api.meta import ALIVE, Probe, Readiness, models
from gateway.api.operators import operators
from gateway.api.plane import Endpoint, Plane
from gateway.api.server import serve as serve_planes
from gateway.control.changes import Changes
from gateway.control.documents import Refresher, plant, seeded
from gateway.control.reconcile import Reconciler
from gateway.control.readiness import readiness
from gateway.engine.vllm import VllmReplica
from gateway.errors import SettingsError
from gateway.fleet import Fleet
from gateway.live import Live
from gateway.pipeline.call import Surface, Tenant
from gateway.pipeline.route import Router
from gateway.settings import AUTO, Settings, load
from gateway.telemetry.exposition import new_registry
from gateway.telemetry.log import LogSink
from gateway.telemetry.prometheus import PrometheusSink
from gateway.telemetry.record import fan_out
from gateway.telemetry.state import StateGauges
from routing.errors import StoreError
from routing.flags import FlagDocument, Generator
from routing.store import Change
from routing.stores import open_store
from structured.errors import SchemaError
from structured.schema import compile_schema

_POLL: Final = 0.25
"""Seconds between two looks at the store: a lost hint costs no more than this."""


class Application(NamedTuple):
    """The two planes of one gateway."""

    data: FastAPI
    control: FastAPI
