"""infra/compose.yaml, infra/aws.yaml and the image against their schemas, and what a schema does not say."""

import json
import re
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.infra.manifests import COMPOSE, INFRA, ROOT, walk

SCHEMA = files("check_jsonschema") / "builtin_schemas/vendor/compose-spec.json"
SERVICES = COMPOSE["services"]
ENV = dict(re.findall(r"^([A-Z_]+)=(.*)$", (INFRA / ".env.example").read_text(), re.MULTILINE))


def test_compose_fits_the_specification() -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.validate(COMPOSE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**COMPOSE, "services": {"head": {"comand": "ray start"}}}, schema)


def test_ports_are_published_on_localhost_alone() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_what_compose_is_told_is_in_the_example_and_secrets_have_no_default() -> None:
    asked = {
        (name, rest) for _, value in walk(SERVICES) for name, rest in re.findall(r"\$\{(\w+)(:?[^}]*)", str(value))
    }
    assert {name for name, _ in asked} == set(ENV)
    for name, rest in asked:
        secret = any(word in name for word in ("PASSWORD", "SECRET", "TOKEN"))
        assert rest.startswith(":?") if secret else rest == f":-{ENV[name]}", name
        assert not (secret and ENV[name])


def test_the_secrets_file_is_in_no_commit_and_no_image() -> None:
    ignored = subprocess.run(["git", "check-ignore", "infra/.env"], cwd=ROOT, check=False, capture_output=True)
    assert ignored.returncode == 0
    kept = re.findall(r"^!(\S+)$", (INFRA / "Containerfile.dockerignore").read_text(), re.MULTILINE)
    assert (INFRA / "Containerfile.dockerignore").read_text().splitlines()[1] == "*"
    assert "infra" not in kept
    assert all((ROOT / name).exists() for name in kept)


def test_services_on_which_others_wait_say_when_they_are_healthy() -> None:
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how["condition"] == "service_started" or "healthcheck" in SERVICES[other]


def test_the_cloud_is_as_rays_autoscaler_wants_it() -> None:
    config = yaml.safe_load((INFRA / "aws.yaml").read_text())
    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)
    validate_config(prepare_config(config))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**config, "hed_node_type": "head"}, schema)
    assert config["head_node_type"] in config["available_node_types"]


def test_the_images_recipe_passes_its_linter() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, INFRA / "Containerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    text = (INFRA / "Containerfile").read_text()
    assert re.search(r"^USER \d+$", text, re.MULTILINE), "Kubernetes does not know that a named user is not root"
    copied = [word for line in re.findall(r"^COPY (?!--)(.*)", text, re.MULTILINE) for word in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied)
