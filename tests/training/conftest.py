import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Small networks are faster so, and bits do not depend on the machine."""
    torch.set_num_threads(1)
