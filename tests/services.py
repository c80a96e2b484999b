"""Real servers for tests, on localhost, each for the length of a block: S3 (moto), PostgreSQL and OpenSSH (Debian)."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

KEYS = {"AWS_ACCESS_KEY_ID": "gen", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_DEFAULT_REGION": "us-east-1"}
BUCKET = "gen"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(command: Sequence[str | Path], port: int, log: Path, **options: object) -> Iterator[None]:
    """The command serves the port inside the block; what it says is in `log`."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True, **options)  # type: ignore[call-overload]
    try:
        end = time.monotonic() + 120
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


@contextmanager
def s3(folder: Path) -> Iterator[int]:
    """An S3 server with an empty bucket; its port."""
    port = free_port()
    command = [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with serving(command, port, folder / "s3.log"):
        make = f"import boto3; boto3.client('s3').create_bucket(Bucket='{BUCKET}')"
        endpoint = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}"}
        subprocess.run([sys.executable, "-c", make], env=os.environ | KEYS | endpoint, check=True)
        yield port


@contextmanager
def postgres(password: str, user: str = "mlflow") -> Iterator[int]:
    """PostgreSQL with the user and a database of the same name, as its image has; its port."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        pytest.skip("there is no PostgreSQL here; on Debian: apt install postgresql")
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "password").write_text(password)
        before: list[str] = []
        if os.geteuid() == 0:  # as whom it refuses to run
            before = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            for path in (folder, folder / "password"):
                shutil.chown(path, "postgres", "postgres")
        data = ["-D", str(folder / "data")]
        access = ["--auth=scram-sha-256", f"--username={user}", f"--pwfile={folder}/password"]
        initdb = [*before, str(found[-1] / "initdb"), *data, *access]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder)
        listen = ["-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
        with serving([*before, found[-1] / "postgres", *data, *listen], port, folder / "log", cwd=folder):
            create = [found[-1] / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", user, user]
            subprocess.run(create, check=True, env=os.environ | {"PGPASSWORD": password})
            yield port


@contextmanager
def sshd(folder: Path) -> Iterator[int]:
    """OpenSSH's server, which takes the key `folder`/user; its port."""
    if not Path("/usr/sbin/sshd").exists():
        pytest.skip("there is no sshd here; on Debian: apt install openssh-server")
    port = free_port()
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)], check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    lines = [f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", "PidFile none"]
    lines += [f"AuthorizedKeysFile {folder}/user.pub", "StrictModes no", "UsePAM no"]
    lines += ["Subsystem sftp internal-sftp", "PasswordAuthentication no"]
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    with serving(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "sshd.log"):
        yield port
