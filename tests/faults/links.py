"""A link between two hosts that is cut: each host a namespace of the network, with a bridge between them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.faults.matrix import fault
from tests.faults.place import CannotBeTried
from tests.faults.workers import TwoWorkers

HEAD, SECOND = ("genfaulta", "10.231.7.1"), ("genfaultb", "10.231.7.2")
BRIDGE, PORT = "genfault", 6399


class Linked(TwoWorkers):
    """A run on two hosts."""

    @contextmanager
    def hosts(self) -> Iterator[None]:
        """A Ray of both, of one CPU each; commands run on the first."""
        if os.geteuid():
            raise CannotBeTried("only root may cut a link")
        try:
            ip("link", "add", BRIDGE, "type", "bridge")
            ip("link", "set", BRIDGE, "up")
            for name, address in (HEAD, SECOND):
                ip("netns", "add", name)
                ip("link", "add", f"{name}0", "type", "veth", "peer", "name", "eth0", "netns", name)
                ip("link", "set", f"{name}0", "master", BRIDGE, "up")
                ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                ip("-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as error:
            unlink()
            raise CannotBeTried(f"no hosts of their own network ({error.stderr.decode().strip()})") from None
        try:
            self.forks = {}
            self.before = ["ip", "netns", "exec", HEAD[0]]
            self.environment |= {"RAY_ADDRESS": f"{HEAD[1]}:{PORT}", "GLOO_SOCKET_IFNAME": "eth0"}
            self.joins(HEAD, "--head", f"--port={PORT}", "--include-dashboard=false")
            self.wait(lambda: "/1.0 CPU" in self.status())
            self.joins(SECOND, f"--address={HEAD[1]}:{PORT}")
            self.wait(lambda: "/2.0 CPU" in self.status())
            yield
        finally:
            for one in self.orphans():
                with suppress(Exception):
                    one.kill()
            unlink()

    def ray_command(self, host: str, *words: str) -> list[str]:
        return ["ip", "netns", "exec", host, str(Path(sys.executable).with_name("ray")), *words]

    def joins(self, host: tuple[str, str], *words: str) -> "subprocess.Popen[Any]":
        start = self.ray_command(host[0], "start", *words, f"--node-ip-address={host[1]}", "--num-cpus=1", "--block")
        quiet = subprocess.DEVNULL
        return subprocess.Popen(start, cwd=self.folder, env=self.environment, stdout=quiet, stderr=quiet)

    def status(self) -> str:
        command = self.ray_command(HEAD[0], "status", f"--address={HEAD[1]}:{PORT}")
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        return (re.findall(r"\S+ CPU", done.stdout) or [""])[0]


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def unlink() -> None:
    for words in (("netns", "del", HEAD[0]), ("netns", "del", SECOND[0]), ("link", "del", BRIDGE)):
        subprocess.run(["ip", *words], check=False, capture_output=True)


@fault("link between two hosts cut for 5 s", Linked, trials=2)
def cut(place: Linked) -> str:
    with place.hosts():
        process = place.train()
        place.moment(process)
        place.hurt()
        ip("link", "set", f"{SECOND[0]}0", "down")
        place.pause(5.0, 5.0)
        ip("link", "set", f"{SECOND[0]}0", "up")
        place.ends(process, 0)
    return "goes on by itself"


@fault("link between two hosts cut for good", Linked, trials=1)
def cut_for_good(place: Linked) -> str:
    with place.hosts():
        process = place.train()
        place.moment(process)
        place.hurt()
        ip("link", "set", f"{SECOND[0]}0", "down")
        place.ends(process, 1)
        ip("link", "set", f"{SECOND[0]}0", "up")
        for one in place.orphans():
            if "ray" in one.name() and SECOND[1] in " ".join(one.cmdline()):
                one.kill()
        place.joins(SECOND, f"--address={HEAD[1]}:{PORT}")
        place.wait(lambda: "/2.0 CPU" in place.status())
        place.ends(place.start(*place.words), 0)
    return "one line says so; the same command goes on once the second host has joined again"
