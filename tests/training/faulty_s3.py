"""A proxy before a server, of S3, say, that answers some requests with an error, or drops their connection halfway."""

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class FaultyS3(ThreadingHTTPServer):
    """Forwards to the port `behind`; `fault` says of a method and a path: "", "drop", "slow" or a status as "503"."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.behind = behind
        self.fault: Callable[[str, str], str] = lambda method, path: ""
        self.faults = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyS3

    def forward(self) -> None:
        fault = self.server.fault(self.command, self.path)
        self.server.faults += bool(fault)
        body = self.body(whole=fault != "drop")
        if fault == "drop":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(1)
        elif fault == "200":
            self.answer(200, [("Content-Type", "text/html")], b"<html><body>Please log in.</body></html>")
            return
        elif fault:
            self.answer(int(fault), [("Content-Type", "application/xml")], SLOW_DOWN)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        once = ("transfer-encoding", "content-length", "expect")
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in once]
        connection.request(self.command, self.path, body, {**dict(headers), "Content-Length": str(len(body))})
        response = connection.getresponse()
        content = response.read()
        hop = ("transfer-encoding", "content-length", "connection")
        told = [(name, value) for name, value in response.getheaders() if name.lower() not in hop]
        if self.command == "HEAD":
            told.append(("Content-Length", response.getheader("Content-Length", "0")))
        self.answer(response.status, told, content)
        connection.close()

    def body(self, whole: bool) -> bytes:
        """What is uploaded, or the first half of it; its length is told before it, or before each chunk."""
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            length = int(self.headers.get("Content-Length", 0))
            return self.rfile.read(length if whole else length // 2)
        chunks = []
        while length := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(length if whole else length // 2))
            if not whole:
                return chunks[0]
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = forward  # noqa: N815

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def faulty(behind: int) -> Iterator[FaultyS3]:
    """The proxy, inside the block."""
    proxy = FaultyS3(behind)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.shutdown()
        proxy.server_close()
