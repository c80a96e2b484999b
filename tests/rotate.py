"""A pytest plugin for CI: the slow tests in an order that changes with the seed, until the seconds are spent.

    pytest -m slow -p tests.rotate --rotate-seed 7 --rotate-seconds 120

The first test always runs; a test that no longer starts is reported as skipped, and another seed begins with it.
"""

import random
import time

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rotate-seed", type=int, default=0, help="decides the order")
    parser.addoption("--rotate-seconds", type=float, default=0.0, help="no test starts later than this")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item], config: pytest.Config) -> None:
    random.Random(config.getoption("--rotate-seed")).shuffle(items)
    config.stash[START] = time.monotonic()
    if items:
        config.stash[FIRST] = items[0].nodeid


def pytest_runtest_setup(item: pytest.Item) -> None:
    spent = time.monotonic() - item.config.stash[START]
    if item.nodeid != item.config.stash[FIRST] and spent > item.config.getoption("--rotate-seconds"):
        pytest.skip("left to another commit's share")


START = pytest.StashKey[float]()
FIRST = pytest.StashKey[str]()
