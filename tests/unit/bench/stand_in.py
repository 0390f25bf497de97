"""A gateway in name only, so that the benchmark's own machinery can be tested.

Run as `python stand_in.py --config FILE`: listens where the file says.
"""

import sys
import tomllib
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import uvicorn

BODIES = {
    "/readyz": b"{}",
    "/v1/chat/completions": b'{"object":"chat.completion"}',
    "/v1/assist": b'{"verdict":"valid"}',
}


async def app(
    scope: MutableMapping[str, Any],
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
) -> None:
    while (await receive()).get("more_body"):
        pass
    body = BODIES[scope["path"]]
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    config = tomllib.loads(Path(sys.argv[-1]).read_text())
    host, _, port = config["gateway"]["listen"].rpartition(":")
    uvicorn.run(app, host=host, port=int(port), lifespan="off", log_level="warning")
