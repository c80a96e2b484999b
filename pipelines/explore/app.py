"""What the page asks over HTTP: latent vectors as JSON, pictures as PNG; whatever is wrong, a line and a 4xx.

The server keeps nothing between requests: a request has all latent vectors that it speaks of. One thread computes, so
that requests wait for one another, however many there are at once.
"""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from gen.errors import InputError
from gen.settings import Settings, check
from pipelines.explore.explored import Explored, data_url
from pipelines.explore.page import page

HOSTS = ("localhost", "127.0.0.1")
LARGEST_JSON, LARGEST_PICTURE = 4 << 20, 16 << 20
"""Bytes of a request."""
MOST = 256
"""Images of one picture."""
LONGEST = 400
"""Characters of an error: it may quote what was asked."""
HEADERS = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src blob: data:; connect-src 'self'; frame-ancestors 'none'",
}
"""Of every answer: nothing of the page comes from elsewhere, and no other page frames it."""

Coordinate = Annotated[float, Field(ge=-1e6, le=1e6)]
Vector = Annotated[list[Coordinate], Field(max_length=1 << 16)]
Share = Annotated[float, Field(ge=0, le=1)]
T = TypeVar("T")
S = TypeVar("S", bound=Settings)


class Draws(Settings):
    """What GET /draws takes."""

    source: Literal["prior", "images"] = "prior"
    """The prior, or encodings of held-out images."""
    seed: int = Field(default=0, ge=0)
    """Of the draw."""
    rows: int = Field(default=16, ge=1, le=MOST)
    """How many latent vectors."""


class Path(Settings):
    """What POST /path takes."""

    a: Vector
    """The latent vector where it begins."""
    b: Vector
    """The latent vector where it ends."""
    steps: int = Field(default=8, ge=1, le=MOST - 1)
    """From one end to the other."""
    straight: bool = False
    """Along the straight line and not along the great circle."""


class Surface(Settings):
    """What POST /surface takes."""

    corners: Annotated[list[Vector], Field(min_length=3, max_length=3)] | None = None
    """Latent vectors top left, top right and bottom left; null: the plane of a latent vector of two dimensions."""
    at: Annotated[list[tuple[Share, Share]], Field(min_length=1, max_length=MOST)]
    """Places: how far to the right and how far down, from 0 to 1."""


class Encode(Settings):
    """What POST /encode takes in its address, beside the bytes of a picture file."""

    condition: int | None = None
    """The number of the class, or of another condition."""


class Picture(Settings):
    """What POST /picture takes."""

    z: Annotated[list[Vector], Field(min_length=1, max_length=MOST)]
    """A latent vector for each image."""
    columns: int = Field(default=1, ge=1, le=MOST)
    """Images in a row."""
    moves: dict[str, Annotated[float, Field(ge=-100, le=100)]] = Field(default={})
    """By the name of an attribute, how often its vector is added."""
    condition: int | None = None
    """The number of the class, or of another condition."""


def app(explored: Explored, title: str) -> Starlette:
    """The application that serves a model.

    Args:
        explored: the model.
        title: what the page calls it.
    """
    worker = ThreadPoolExecutor(1, thread_name_prefix="model")
    text = page(explored, title)

    async def computed(function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(worker, function, *args)

    async def index(request: Request) -> Response:
        return HTMLResponse(text, headers=HEADERS)

    async def draws(request: Request) -> Response:
        asked = check(Draws, dict(request.query_params), "GET /draws")
        z = await computed(explored.draws, asked.source, asked.seed, asked.rows)
        return JSONResponse({"z": z.tolist()}, headers=HEADERS)

    async def path(request: Request) -> Response:
        asked = await body(request, Path)
        found = await computed(explored.path, asked.a, asked.b, asked.steps, asked.straight)
        off = None if found.off is None else found.off.tolist()
        return JSONResponse({"z": found.z.tolist(), "off": off}, headers=HEADERS)

    async def surface(request: Request) -> Response:
        asked = await body(request, Surface)
        z = await computed(explored.surface, asked.corners, asked.at)
        return JSONResponse({"z": z.tolist()}, headers=HEADERS)

    async def encode(request: Request) -> Response:
        asked = check(Encode, dict(request.query_params), "POST /encode")
        own = await computed(explored.own, await content(request, LARGEST_PICTURE), asked.condition)
        answer = {"z": own.z.tolist(), "picture": data_url(own.picture), "error": own.error}
        return JSONResponse(answer, headers=HEADERS)

    async def picture(request: Request) -> Response:
        asked = await body(request, Picture)
        png = await computed(
            lambda: explored.picture(explored.latents(asked.z), asked.moves, asked.condition, asked.columns)
        )
        return Response(png, media_type="image/png", headers=HEADERS)

    routes = [Route("/", index), Route("/draws", draws)]
    routes += [Route(f"/{one.__name__}", one, methods=["POST"]) for one in (path, surface, encode, picture)]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)],
        exception_handlers={InputError: refused},
    )


async def refused(request: Request, error: Exception) -> Response:
    """What was asked for cannot be had: one line, and status 400."""
    line = " ".join(str(error).split())
    short = line if len(line) <= LONGEST else f"{line[:LONGEST]}..."
    return PlainTextResponse(short, status_code=400, headers=HEADERS)


async def body(request: Request, kind: type[S]) -> S:
    """The JSON of a request. Raises InputError when it is none, or not a `kind`; HTTPException when it is too long."""
    where = f"{request.method} {request.url.path}"
    blob = await content(request, LARGEST_JSON)
    try:
        values = json.loads(blob)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not JSON ({error}); send an object with {', '.join(kind.model_fields)}") from None
    return check(kind, values, where)


async def content(request: Request, most: int) -> bytes:
    """The bytes of a request; of one that is too long the rest is read and dropped. Raises HTTPException."""
    kept, length = bytearray(), 0
    async for part in request.stream():
        length += len(part)
        if length <= most:
            kept += part
    if length > most:
        raise HTTPException(413, f"{request.url.path}: {length:,} bytes; send {most:,} at most")
    return bytes(kept)
