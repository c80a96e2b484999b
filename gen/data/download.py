"""One file over HTTP, resumed where an earlier attempt ended."""

import time
from http import HTTPStatus
from pathlib import Path

import requests
from requests import RequestException, Response
from urllib3.exceptions import HTTPError

from gen.data.folder import room_for
from gen.data.progress import progress
from gen.errors import InputError
from gen.secrets import masked

ATTEMPTS = 5
"""Attempts without a single byte of progress before giving up."""

TIMEOUT = (8.0, 10.0)
"""Seconds to connect, and between two reads: who does not answer is named within ten, and given up within a minute."""

MOST_SECONDS = 60.0
"""How long a small file may take."""

BLOCK = 2**20


def read_text(url: str) -> str:
    """A small text file.

    Raises:
        InputError: it cannot be had, or not within a minute.
    """
    content, end = b"", time.monotonic() + MOST_SECONDS
    try:
        with requests.get(url, stream=True, timeout=TIMEOUT) as response:
            _raise_for(response, url)
            while block := response.raw.read1(BLOCK, decode_content=True):
                content += block
                if time.monotonic() > end:
                    raise InputError(f"{url}: not whole within {MOST_SECONDS:.0f} s; see whether it can be reached")
    except (RequestException, HTTPError) as error:
        raise InputError(f"{url}: not reachable ({_reason(error)}); check the address and the network") from None
    return content.decode(errors="replace")


def download(url: str, part: Path) -> None:
    """Bring the whole file to `part`, going on from what is there. Whether it is the right file is not checked.

    Raises:
        InputError: it cannot be had, ends early again and again, or the disk is full; what has come stays for the next
            attempt.
    """
    part.parent.mkdir(parents=True, exist_ok=True)
    part.touch()
    failures, reason = 0, ""
    while failures < ATTEMPTS:
        before = part.stat().st_size
        try:
            if _continue(url, part):
                return
            reason = "the connection ended early"
        except (RequestException, HTTPError) as error:
            reason = _reason(error)
        except InputError:
            if not part.stat().st_size:
                part.unlink()
            raise
        failures = 0 if part.stat().st_size > before else failures + 1
        if 0 < failures < ATTEMPTS:
            print(f"{masked(url)}: {reason}; trying again ({failures + 1} of {ATTEMPTS})", flush=True)
    have = part.stat().st_size
    if not have:
        part.unlink()
    message = f"{have:,} bytes are kept in {part}, and the next run goes on from there" if have else "check the network"
    raise InputError(f"{url}: not to be had ({reason}); {message}")


def _continue(url: str, part: Path) -> bool:
    """Append what is missing, in one request. Whether the file is complete."""
    have = part.stat().st_size
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            complete = response.headers.get("Content-Range") == f"bytes */{have}"
            if not complete:
                part.write_bytes(b"")
            return complete
        _raise_for(response, url)
        resumed = response.status_code == HTTPStatus.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise InputError(f"{url}: the server answers with another range than asked; delete {part} and run again")
        start = have if resumed else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            room_for(part),
            part.open("ab" if resumed else "wb") as file,
            progress(f"fetch {part.stem}", "B", total, start) as add,
        ):
            while block := response.raw.read1(BLOCK, decode_content=False):  # what has come, however little it is
                add(file.write(block))
    return total is None or part.stat().st_size == total


def copy(source: Path, target: Path) -> None:
    """Bring a file of this machine, or of a disk that it shares. Raises InputError when there is no room for it."""
    size = source.stat().st_size
    with (
        room_for(target),
        source.open("rb") as place,
        target.open("wb") as file,
        progress(f"copy {target.name}", "B", size) as add,
    ):
        while block := place.read(BLOCK):
            add(file.write(block))


def _raise_for(response: Response, url: str) -> None:
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise requests.HTTPError(f"{response.status_code} {response.reason}")
    if response.status_code >= HTTPStatus.BAD_REQUEST:
        raise InputError(f"{url}: {response.status_code} {response.reason}; check the address")


def _reason(error: Exception) -> str:
    while isinstance(reason := getattr(error, "reason", None) or (error.args[0] if error.args else None), Exception):
        error = reason
    return str(reason or error).split("\n")[0]
