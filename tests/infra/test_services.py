"""The services of infra/compose.yaml without containers: the same commands and settings, and `dvc repro` on them."""

import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import boto3
import pytest
import requests
import yaml
from mlflow import MlflowClient

from tests.infra.manifests import COMPOSE, INFRA
from tests.pipelines.checkout import Checkout
from tests.pipelines.conftest import ring_run
from tests.services import BUCKET, KEYS, free_port, postgres, s3, serving

BIN = Path(sys.executable).parent
SECRETS = {
    **dict(re.findall(r"^([A-Z_]+)=(.+)$", (INFRA / ".env.example").read_text(), re.MULTILINE)),
    **{
        name: f"{name.lower()}-of-the-test"
        for name in ("RAY_AUTH_TOKEN", "MLFLOW_TRACKING_PASSWORD", "POSTGRES_PASSWORD")
    },
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "signs",
    **{name: KEYS[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")},
    "GEN_WORKER_CPUS": "1",
}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_run_on_two_workers_with_database_object_store_and_logins(tmp_path: Path) -> None:
    with ExitStack() as block:
        places = {
            "@database/": f"@127.0.0.1:{block.enter_context(postgres(SECRETS['POSTGRES_PASSWORD']))}/",
            "objects:7070": f"127.0.0.1:{block.enter_context(s3(tmp_path))}",
        }
        tracking, head, dashboard = free_port(), free_port(), free_port()
        places |= {"mlflow:5000": f"127.0.0.1:{tracking}", "head:6379": f"127.0.0.1:{head}", "0.0.0.0": "127.0.0.1"}
        places |= {"--port 5000": f"--port {tracking}", "--port 6379": f"--port {head}", "8265": str(dashboard)}
        places |= {"127.0.0.1:5000": f"127.0.0.1:{tracking}", "/workspace/infra": str(tmp_path)}

        def here(text: str) -> str:
            """What the container is told, with this machine's addresses."""
            text = re.sub(r"\$\{(\w+):[^}]*\}", lambda found: SECRETS[found[1]], text)
            for theirs, ours in places.items():
                text = text.replace(theirs, ours)
            return text

        def service(name: str) -> tuple[list[str], dict[str, str]]:
            told = COMPOSE["services"][name]
            environment = {
                key: here(str(value)) for key, value in told["environment"].items() if key not in ("HOME", "USER")
            }
            program, *words = here(told["command"]).split()
            return [str(BIN / program), *words], os.environ | environment

        ini = (INFRA / "mlflow-auth.ini").read_text()
        (tmp_path / "mlflow-auth.ini").write_text(here(ini))
        command, environment = service("mlflow")
        block.enter_context(serving(command, tracking, tmp_path / "mlflow.log", env=environment, cwd=tmp_path))
        command, environment = service("head")
        block.enter_context(serving(command, head, tmp_path / "head.log", env=environment))
        for there in ("2", "3"):  # one after the other: on one machine they would take the same ports
            command, environment = service("worker")
            block.enter_context(serving(command, head, tmp_path / "worker.log", env=environment))
            wait = [sys.executable, INFRA / "wait_for_nodes.py", f"127.0.0.1:{head}", there]
            subprocess.run(wait, env=environment, check=True)

        folder = tmp_path / "checkout"
        folder.mkdir()
        checkout = Checkout(folder, "")
        # Tests turn off what stays of the suite's own settings.
        checkout.environment |= {
            key: value for key, value in environment.items() if key.startswith(("RAY", "MLFLOW", "AWS"))
        }
        checkout.write(ring_gan=ring_run("gan", steps=200, workers=2))
        values = yaml.safe_load((folder / "params.yaml").read_text())
        values["cluster"]["storage"] = f"s3://{BUCKET}/storage"
        (folder / "params.yaml").write_text(yaml.safe_dump(values))
        checkout.commit()
        assert checkout.repro("train@ring_gan")[-1] == "train@ring_gan"

        uri = f"http://127.0.0.1:{tracking}"
        experiments = f"{uri}/api/2.0/mlflow/experiments/search?max_results=1"
        login = (SECRETS["MLFLOW_TRACKING_USERNAME"], SECRETS["MLFLOW_TRACKING_PASSWORD"])
        assert requests.get(experiments, auth=login, timeout=10).status_code == 200
        assert requests.get(experiments, timeout=10).status_code == 401
        assert requests.get(experiments, auth=(login[0], "guessed"), timeout=10).status_code == 401
        assert requests.get(experiments, auth=login, headers={"Host": "elsewhere.org"}, timeout=10).status_code == 403

        with pytest.MonkeyPatch.context() as patch:
            for key in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
                patch.setenv(key, environment[key])
            store = MlflowClient(uri)
            experiment = store.get_experiment_by_name("toys")
            assert experiment is not None
            (run,) = store.search_runs([experiment.experiment_id])
            assert run.info.status == "FINISHED"
            assert run.info.artifact_uri.startswith("mlflow-artifacts:/"), "the server alone reaches the bucket"
        client = boto3.client(
            "s3",
            endpoint_url=environment["AWS_ENDPOINT_URL"],
            **{
                key.lower().removesuffix("_default_region"): value
                for key, value in KEYS.items()
                if key != "AWS_DEFAULT_REGION"
            },
            region_name="us-east-1",
        )
        names = [one["Key"] for one in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
        assert any(name.startswith("mlflow/") for name in names)
        assert any(re.fullmatch(r"storage/ring_gan-\w+/step_00000200/manifest.json", name) for name in names)
