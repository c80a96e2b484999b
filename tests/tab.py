"""A page in a real browser driven by the DevTools protocol: clicks, what is then seen, and what its console says."""

import asyncio
import base64
import itertools
import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.browser import browser

SECONDS = 60.0
"""Longest wait for anything: the machine may be busy with other tests."""


class Tab:
    """The page. `wrong` collects exceptions of its scripts, and errors and warnings of its console."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.loop, self.socket = loop, socket
        self.numbers = itertools.count()
        self.wrong: list[str] = []
        for domain in ("Runtime", "Log", "Page"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> Any:
        """The result of a command of the protocol."""
        return self.loop.run_until_complete(asyncio.wait_for(self._answered(method, params), SECONDS))

    async def _answered(self, method: str, params: dict[str, Any]) -> Any:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": params})
        while True:
            message = json.loads((await self.socket.receive()).data)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            told = message.get("params", {})
            if message.get("method") == "Runtime.exceptionThrown":
                self.wrong.append(json.dumps(told["exceptionDetails"]))
            elif message.get("method") == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
                self.wrong.append(told["entry"]["text"])
            elif message.get("method") == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
                self.wrong.append(json.dumps(told["args"]))

    def go(self, address: str) -> None:
        """Opens an address, and waits until it is loaded."""
        assert "errorText" not in (found := self.send("Page.navigate", url=address)), found
        self.until(f"location.href === {json.dumps(address)} && document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What an expression of JavaScript is, once its promise is fulfilled."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, script: str) -> Any:
        """Waits until the expression is true; returns what it then is."""
        end = time.monotonic() + SECONDS
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"never true: {script}; {self.wrong}"
            time.sleep(0.05)
        return value

    def mouse(self, kind: str, x: float, y: float) -> None:
        """`Pressed`, `Moved` or `Released` at a place of the window, with the left button."""
        self.send("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, button="left", buttons=1, clickCount=1)

    def size(self, width: int, height: int, scale: float = 1, mobile: bool = False) -> None:
        """Of the window; of a phone it may be `mobile`."""
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def dark(self) -> None:
        """As if the system were dark."""
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])

    def screenshot(self, path: Path, whole: bool = False) -> None:
        """A PNG of the window, or of the whole page."""
        shot = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def tab(folder: Path) -> Iterator[Tab]:
    """An empty page of a headless browser, which keeps its things in the folder and ends with the block."""
    profile = folder / "profile"
    words = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--remote-debugging-port=0",
        f"--user-data-dir={profile}",
    ]
    process = subprocess.Popen([browser(), *words, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(_session())
    try:
        socket = loop.run_until_complete(_connected(session, profile / "DevToolsActivePort"))
        yield Tab(loop, socket)
        loop.run_until_complete(socket.close())
    finally:
        loop.run_until_complete(session.close())
        loop.close()
        process.terminate()
        process.wait(SECONDS)


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _connected(session: aiohttp.ClientSession, port_file: Path) -> aiohttp.ClientWebSocketResponse:
    """The browser's first page, once it has said in that file at which port it listens."""
    end = time.monotonic() + SECONDS
    while not (port_file.is_file() and "\n" in port_file.read_text(encoding="utf-8")):
        assert time.monotonic() < end, "the browser does not start"
        await asyncio.sleep(0.05)
    port = port_file.read_text(encoding="utf-8").split("\n")[0]
    async with session.get(f"http://127.0.0.1:{port}/json") as answer:
        pages = [one for one in await answer.json() if one["type"] == "page"]
    return await session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0)
