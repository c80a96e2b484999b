"""Writes paper/dvc.yaml: the stages of dvc.yaml once more, for the data sets and runs of paper/params.yaml.

DVC reads the params that its templates name from the folder of the file, so the same stages need a file of their own.
The stage `code` stays in dvc.yaml: both have its digests among their deps.
"""

from pathlib import Path

import yaml

STAGES = Path("dvc.yaml")
OUT = Path("paper/dvc.yaml")
PARAMS = "paper/params.yaml"
HEAD = "# Written by `gen full-size` from dvc.yaml, for the data sets and runs of paper/params.yaml.\n"


def full_size(text: str) -> str:
    """What paper/dvc.yaml is where dvc.yaml is `text`."""
    stages = yaml.safe_load(text)["stages"]
    del stages["code"]
    for name, stage in stages.items():
        template = {"wdir": "..", **stage["do"]}
        template["cmd"] += f" --params {PARAMS}"
        if "params" in template:
            template["params"] = [{PARAMS: template["params"]}]
        stages[name] = {"foreach": stage["foreach"], "do": template}
    return HEAD + yaml.safe_dump({"stages": stages}, sort_keys=False, width=1000)


def main() -> None:
    """Read dvc.yaml and write paper/dvc.yaml."""
    OUT.write_text(full_size(STAGES.read_text(encoding="utf-8")), encoding="utf-8")
