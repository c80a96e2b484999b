"""infra/kubernetes against Kubernetes' schemas and those of Ray's resources, and what a schema does not say."""

import copy
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.infra.manifests import pod_specs, resources, walk

VERSION = "1.33"
RAY: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "ray_resources.yaml").read_text())
RESOURCES = resources()


def check(resource: dict[str, Any]) -> None:
    """Raises when a schema refuses it."""
    if resource["apiVersion"] != "ray.io/v1":
        kubernetes_validate.validate(resource, VERSION, strict=True)
        return
    jsonschema.validate(resource["spec"], RAY[resource["kind"]])
    if resource["kind"] == "RayJob":
        jsonschema.validate(resource["spec"]["rayClusterSpec"], RAY["RayCluster"])
    for path, value in walk(resource):
        if path.endswith(".template"):
            spec = {"selector": {}, "template": value}
            as_part = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "one"}, "spec": spec}
            kubernetes_validate.validate(as_part, VERSION, strict=True)


@pytest.mark.parametrize("name", RESOURCES)
def test_a_manifest_fits_its_schema(name: str) -> None:
    check(RESOURCES[name])


@pytest.mark.parametrize("name", ["Deployment/mlflow", "RayCluster/gen", "RayJob/gen"])
def test_a_misspelt_field_is_noticed(name: str) -> None:
    wrong = copy.deepcopy(RESOURCES[name])
    places = ("", "template", "securityContext", "headGroupSpec")
    for path, value in list(walk(wrong["spec"])):
        if isinstance(value, dict) and path.rpartition(".")[2] in places:
            value["mispelt"] = 1
            with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
                check(wrong)
            del value["mispelt"]


def test_job_and_cluster_are_of_the_same_machines() -> None:
    assert RESOURCES["RayJob/gen"]["spec"]["rayClusterSpec"] == RESOURCES["RayCluster/gen"]["spec"]


def test_a_job_ends_is_tried_again_and_goes() -> None:
    spec = RESOURCES["RayJob/gen"]["spec"]
    assert spec["shutdownAfterJobFinishes"], "KubeRay refuses a TTL without it"
    assert min(spec[key] for key in ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished")) > 0


@pytest.mark.parametrize("name", [name for name, resource in RESOURCES.items() if pod_specs(resource)])
def test_pods_have_no_rights(name: str) -> None:
    for spec in pod_specs(RESOURCES[name]):
        assert spec["securityContext"]["runAsNonRoot"]
        for container in spec["containers"] + spec.get("initContainers", []):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_secrets_are_named_and_nowhere_written() -> None:
    assert not [name for name in RESOURCES if name.startswith("Secret/")]
    for path, value in walk(RESOURCES):
        if isinstance(value, dict) and any(word in str(value.get("name")) for word in ("PASSWORD", "SECRET", "TOKEN")):
            assert set(value) == {"name", "valueFrom"}, path


def test_claims_volumes_and_settings_that_are_named_are_there() -> None:
    claims = {name.partition("/")[2] for name in RESOURCES if name.startswith("PersistentVolumeClaim/")}
    settings = {name.partition("/")[2] for name in RESOURCES if name.startswith("ConfigMap/")}
    for path, value in walk(RESOURCES):
        if path.endswith(".claimName"):
            assert value in claims
        if path.endswith(".configMapRef"):
            assert value["name"] in settings
        if path.endswith(".namespace"):
            assert value == "gen"
