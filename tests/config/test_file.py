"""A params file as text: YAML in UTF-8, each name once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gen.config.file import read_params
from gen.config.load import load_params
from gen.errors import InputError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("text", ["", "- 1", "a: [", "runs: 3", "2026-13-45", "0x_", "[" * 3000])
def test_not_even_params(text: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    with pytest.raises(InputError, match="no such file"):
        load_params(file)
    file.write_text(text)
    with pytest.raises(InputError, match=str(file)) as error:
        load_params(file)
    assert "\n" not in str(error.value)


def test_params_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    text = "# Größe der Bilder, naïve\n" + (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": str(ROOT)}
    message = "import gen, locale; print(locale.getencoding()); gen.load_params('params.yaml')"
    done = subprocess.run(
        [sys.executable, "-c", message],
        cwd=tmp_path,
        env=os.environ | ascii_only,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "UTF-8" not in done.stdout
    assert done.returncode == 0, done.stderr
    (tmp_path / "params.yaml").write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match=r"params\.yaml: not UTF-8"):
        load_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("runs:", "runs:\n  digits_gan: {family: gan}", r"line \d+: 'digits_gan' stands in this section already"),
        ("svm:\n", "runs: {}\nsvm:\n", r"line \d+: 'runs' stands in this section already; give it another name"),
        (
            "    source: digits\n",
            "    source: digits\n    resolution: 8\n",
            "'resolution' stands in this section already",
        ),
    ],
)
def test_a_name_that_stands_twice(before: str, after: str, line: str, tmp_path: Path) -> None:
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "params.yaml").write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(InputError, match=rf"params.yaml: {'' if line[0] == 'l' else 'line .*'}{line}"):
        load_params(tmp_path / "params.yaml")


def test_a_name_may_override_what_is_merged(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: {<<: *a, y: 4}\n", encoding="utf-8")
    expected = {"a": {"x": 1, "y": 2}, "b": {"x": 3, "y": 2}, "c": {"x": 1, "y": 4}}
    assert read_params(tmp_path / "a.yaml") == expected
