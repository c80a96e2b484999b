"""Commands as forks of a process that has imported what they need: each begins seconds sooner.

`gen all` has such a server while it builds. A command `gen` that finds its address in the environment is continued by a
fork of the server and stands in for it: it passes on signals and the exit status.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from pipelines.runtime.above import COMMAND

ADDRESS = "GEN_FORKSERVER"
"""Variable of the environment: where the server listens."""
PASSED_ON = (signal.SIGINT, signal.SIGTERM)
"""Signals that the fork gets, and not what stands in for it."""
KILLED = 128 + signal.SIGKILL
"""Exit status of a fork that ended without a word."""


@contextmanager
def forkserver(modules: Sequence[str], environment: dict[str, str]) -> Iterator[dict[str, str]]:
    """A server inside the block, which imports the modules and then answers; it ends with this process at the latest.

    Only on Linux: elsewhere libraries do not survive a fork.

    Yields:
        The environment, in which commands find the server.
    """
    if sys.platform != "linux":
        yield environment
        return
    with tempfile.TemporaryDirectory(prefix="gen-", dir="/tmp") as private:  # paths of sockets have to be short
        address = f"{private}/forkserver"
        command = [str(Path(sys.executable).with_name("gen")), "forkserver", address, *modules]
        # In a session of its own: a Ctrl-C reaches forks by the commands that stand in for them, and once.
        server = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True)
        try:
            yield environment | {ADDRESS: address}
        finally:
            server.kill()
            server.communicate()


def serve(address: str, modules: Sequence[str], run: Callable[[], int]) -> None:
    """Import the modules, then have forks be the commands that ask for it, until the standard input ends.

    Args:
        address: path of the socket; who may open its folder may run code as this user.
        modules: what the commands need.
        run: does what the command does that sys.argv names, and returns its exit status.
    """
    code = state_of_code()  # first: what is edited while it is imported is edited
    for module in modules:
        importlib.import_module(module)
    gc.freeze()  # else collections in the forks would copy the memory they share
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for forks
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        while listener in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _become(connection, code, run)
                return
            connection.close()


def state_of_code() -> str:
    """Changes with every edit of a source file of this project."""
    packages = [Path(str(importlib.import_module(name).__file__)).parent for name in ("gen", "pipelines")]
    files = sorted(file for package in packages for file in package.rglob("*.py"))
    return repr([(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in files])


def _become(connection: socket.socket, code: str, run: Callable[[], int]) -> None:
    """Be the command at the other end, unless the code is another by now.

    Raises:
        SystemExit: as the command does in the end.
    """
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    with connection.makefile("r", encoding="utf-8") as lines:
        asked = json.loads(lines.readline())
    if state_of_code() != code:
        return
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"] | {COMMAND: str(asked["process"])})
    sys.argv = asked["words"]
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    status: int | str | None = 1
    connection.sendall(f"{os.getpid()}\n".encode())
    try:
        sys.exit(run())
    except SystemExit as end:
        status = end.code
        raise
    finally:
        with suppress(OSError):  # nobody may be left to hear it
            connection.sendall(str(status if isinstance(status, int) else int(status is not None)).encode())


def _end_with(connection: socket.socket) -> None:
    """Send this process SIGTERM when the command that it stands in for is gone, killed for example."""
    with suppress(OSError):
        connection.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)


def continued() -> int | None:
    """Let a fork of the server do what this process was started for; returns its exit status.

    None: there is no server, or the code was edited since it began. This process then does it itself, without a server.
    """
    address = os.environ.get(ADDRESS)
    if address is None:
        return None
    asked = {"process": os.getpid(), "words": sys.argv, "folder": str(Path.cwd()), "environment": dict(os.environ)}
    signal.pthread_sigmask(signal.SIG_BLOCK, PASSED_ON)  # one that comes now waits until it is known who gets it
    try:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as server:
            server.connect(address)
            socket.send_fds(server, [b"\n"], [0, 1, 2])
            server.sendall(f"{json.dumps(asked)}\n".encode())
            with server.makefile("r", encoding="utf-8") as answers:
                if answer := answers.readline():
                    _stand_in(int(answer))
                    return int(answers.readline() or KILLED)
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    del os.environ[ADDRESS]
    return None


def _stand_in(process: int) -> None:
    """Pass on what this process is sent. That its DVC ends the fork finds out itself."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(process, number)

    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
