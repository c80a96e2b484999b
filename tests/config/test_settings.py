"""What every section of settings has in common."""

import pytest

from gen.config.params import flat
from gen.errors import InputError
from gen.families import check_family
from tests.families.small import small


def test_flat() -> None:
    assert flat({"a": 1, "b": {"c": {"d": 2}, "e": []}}) == {"a": 1, "b.c.d": 2, "b.e": []}


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("lr", 1e39, r"input should be 0 or from 1\.1754944e-38 to 3\.4028234e\+38 in size, .* float32 .*; got 1e\+39"),
        ("lr", 1e-46, "input should be 0 or from"),
        ("latent_dim", 2**63, r"input should be less than 2\*\*63"),
    ],
)
def test_numbers_that_torch_does_not_have_are_refused(setting: str, value: float, message: str) -> None:
    with pytest.raises(InputError, match=rf"^runs\.x\.model\.{setting}: {message}") as refused:
        check_family("gan", small("gan")[0] | {setting: value}, "runs.x.model")
    assert "\n" not in str(refused.value)
