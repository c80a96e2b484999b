"""What infra/ and docs/cluster.md name exists: variables, files, images, ports, commands and their options."""

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib.resources import files

import mlflow.environment_variables
import pytest
import yaml
from mlflow.cli import server as mlflow_server
from ray.scripts.scripts import start as ray_start

from tests.infra.manifests import COMPOSE, INFRA, ROOT, resources, tracked, walk

FILES = {file.relative_to(ROOT).as_posix(): file.read_text() for file in tracked("infra")}
TEXTS = {**FILES, "docs/cluster.md": (ROOT / "docs/cluster.md").read_text()}
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
RAY_VERSION = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
OTHERS = {
    "NVIDIA_VISIBLE_DEVICES": "NVIDIA's container toolkit",
    "NVIDIA_DRIVER_CAPABILITIES": "NVIDIA's container toolkit",
    "POSTGRES_USER": "the image postgres",
    "POSTGRES_DB": "the image postgres",
    "POSTGRES_PASSWORD": "the image postgres",
    "ROOT_ACCESS_KEY_ID": "the image versitygw",
    "ROOT_SECRET_ACCESS_KEY": "the image versitygw",
    "SLURM_JOB_ID": "sbatch",
    "SLURM_JOB_NODELIST": "sbatch",
    "SLURM_CPUS_PER_TASK": "sbatch",
    "RAY_HEAD_IP": "Ray's autoscaler",
    "BASH_SOURCE": "bash",
}


def sources(*packages: str) -> str:
    """The text of their Python files."""
    found = [str(files(name)) for name in packages]
    return subprocess.run(
        ["grep", "-rhoE", "[A-Z]+_[A-Z_]+[A-Z]", "--include=*.py", *found], capture_output=True, text=True, check=True
    ).stdout


def test_environment_variables() -> None:
    ours = "".join(file.read_text() for part in ("gen", "pipelines") for file in (ROOT / part).rglob("*.py"))
    theirs = set(sources("ray._private", "ray.dashboard", "ray.train", "botocore").split())
    of_mlflow = set(dir(mlflow.environment_variables)) | {str(option.envvar) for option in mlflow_server.params}
    set_here = set(re.findall(r"^([A-Z_]+)=", FILES["infra/.env.example"], re.MULTILINE))
    set_here |= set(resources()["ConfigMap/gen-settings"]["data"])
    for place, text in FILES.items():
        code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", "!")))
        for name in set(re.findall(r"(?<![\w-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w-])", code)):
            if name.startswith("PIP_"):
                assert f"--{name[4:].lower().replace('_', '-')}" in pip_options(), f"{place}: {name}"
                continue
            known = name in OTHERS or f'"{name}"' in ours or name in theirs | of_mlflow
            used = name in set_here and sum(other.count(name) for other in FILES.values()) > 1
            assert known or used or "e.g." in name, f"{place}: {name} is read by nobody"


def pip_options() -> str:
    shown = [
        subprocess.run([sys.executable, "-m", "pip", *words, "--help"], capture_output=True, text=True, check=True)
        for words in ([], ["install"])
    ]
    return "".join(one.stdout for one in shown)


def test_paths() -> None:
    for place, text in TEXTS.items():
        for name in re.findall(r"(?<![\w./-])(?:infra|docs|gen|pipelines|tests)/[\w./-]*\w", text):
            assert (ROOT / name).exists() or name == "infra/.env", f"{place}: {name}"


def images() -> Iterable[str]:
    yield from (value for path, value in walk([COMPOSE, resources()]) if path.endswith(".image"))
    yield yaml.safe_load(FILES["infra/aws.yaml"])["docker"]["image"]
    yield from re.findall(r"^FROM (\S+)", FILES["infra/Containerfile"], re.MULTILINE)
    for text in TEXTS.values():
        yield from re.findall(r"\bgen:\d[\w.-]*", text)


def test_images_have_the_versions_of_this_project() -> None:
    assert RAY_VERSION
    for image in images():
        name, _, tag = image.removeprefix("${GEN_IMAGE:-").rstrip("}").rpartition(":")
        assert name, f"{image} has no tag"
        assert re.search(r"\d", tag)
        if name.rpartition("/")[2] == "gen":
            assert tag in (f"{VERSION}-cpu", f"{VERSION}-cuda")
    for path, value in walk(resources()):
        if path.endswith(".rayVersion"):
            assert value == RAY_VERSION[1]


def commands(words: str) -> Iterable[list[str]]:
    """What is given to the command in all files, as a shell splits it."""
    text = "\n".join(TEXTS.values()).replace("\\\n", " ")
    yield from (shlex.split(found, comments=True) for found in re.findall(rf"{words}((?: [^\n|&;\"'`)]+)?)", text))
    for _, value in walk([COMPOSE, resources()]):
        if isinstance(value, list) and value[: len(words.split())] == words.split():
            yield value[len(words.split()) :]
        if isinstance(value, str) and value.startswith(words):
            yield value.split()[len(words.split()) :]


@pytest.mark.parametrize(
    ("words", "command", "at_least"), [("ray start", ray_start, 8), ("mlflow server", mlflow_server, 2)]
)
def test_commands_have_the_options_that_they_are_given(words: str, command: object, at_least: int) -> None:
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}  # type: ignore[attr-defined]
    given = [word.partition("=")[0] for found in commands(words) for word in found if word.startswith("--")]
    assert len(given) >= at_least
    assert set(given) <= known
    of_pods = [value for path, value in walk(resources()) if path.endswith(".rayStartParams")]
    assert {f"--{name}" for params in of_pods for name in params} <= {
        name for option in ray_start.params for name in option.opts
    }


def test_stages_that_are_built_are_there() -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    built = re.findall(r"\b(?:train|evaluate|compare|prepare)@(\w+)", "\n".join(TEXTS.values()))
    assert built
    assert set(built) <= {*params["runs"], *params["compare"], *params["datasets"]}


def test_services_are_reached_by_the_names_and_ports_that_they_have() -> None:
    services, environment = COMPOSE["services"], COMPOSE["x-node"]["environment"]
    assert environment["RAY_ADDRESS"] == "head:6379"
    assert "--port 6379" in services["head"]["command"]
    for command, uri in (
        (services["mlflow"]["command"], environment["MLFLOW_TRACKING_URI"]),
        (
            " ".join(resources()["Deployment/mlflow"]["spec"]["template"]["spec"]["containers"][0]["args"]),
            resources()["ConfigMap/gen-settings"]["data"]["MLFLOW_TRACKING_URI"],
        ),
    ):
        host, _, port = uri.removeprefix("http://").partition(":")
        assert host == "mlflow"
        assert re.search(rf"--port[ =]{port}\b", command)
        allowed = re.search(r"--allowed-hosts[ =](\S+)", command)
        assert allowed
        assert {host, f"{host}:{port}", "localhost", f"localhost:{port}"} <= set(allowed[1].split(","))
    ports = {
        port["port"] for path, one in walk(resources()) if path.endswith("spec.ports") for port in one if "port" in port
    }
    pods = {
        port["containerPort"]
        for path, one in walk(resources())
        if path.endswith(".ports")
        for port in one
        if "containerPort" in port
    }
    assert ports <= pods
    assert INFRA.joinpath("mlflow-auth.ini").read_text().count("postgresql+psycopg2://mlflow@database/mlflow") == 1
