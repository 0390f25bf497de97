"""The data plane's application: raw endpoints in front of FastAPI's middleware.

The middleware and the router take a tenth of what a completion costs the gateway, and
do nothing for an endpoint that reads, answers and refuses by itself. What no endpoint
takes (the lifespan, other paths, other methods) goes FastAPI's way.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.routing import Route

from gateway.api.asgi import Receive, Scope, Send

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]


class DataPlane(FastAPI):
    """FastAPI, except for raw endpoints asked by their method and exact path.

    Args:
        raw: ASGI callables by method and path. They are FastAPI's routes as well, so
            that it knows what other methods of a path deserve.
        settings: FastAPI's.
    """

    def __init__(
        self, raw: Mapping[tuple[str, str], Endpoint], **settings: Any
    ) -> None:
        super().__init__(**settings)
        self._raw = dict(raw)
        self.router.routes += [
            Route(path, endpoint, methods=[method])
            for (method, path), endpoint in raw.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] == "http":
            endpoint = self._raw.get((scope["method"], scope["path"]))
            if endpoint is not None:
                await endpoint(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
