"""A server of published files on localhost."""

import gzip
import hashlib
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CONTENT = gzip.compress(bytes(range(256)) * 2000, mtime=0) * 40


MD5 = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves a folder on localhost, with ranges; keeps what was asked."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[tuple[str, str | None]] = []
        self.ranges = True
        self.cut: int | None = None
        """Bytes after which the next answers break off."""
        self.status = 0
        """Instead of any answer, when not 0."""


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if self.server.status:
            return self.send_error(self.server.status)
        file = Path(self.translate_path(self.path))
        if not file.is_file():
            return self.send_error(404)
        blob = file.read_bytes()
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start >= len(blob) and start:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(blob)}")
            return self.end_headers()
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(blob) - 1}/{len(blob)}")
        self.send_header("Content-Length", str(len(blob) - start))
        if file.suffix == ".gz":
            self.send_header("Content-Encoding", "gzip")  # as some publishers do: the file itself is what is wanted
        self.end_headers()
        stop = None if self.server.cut is None else start + self.server.cut
        self.wfile.write(blob[start:stop])
        return None

    def log_message(self, *args: Any) -> None:
        pass
