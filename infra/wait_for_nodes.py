"""Wait until a Ray has so many machines: python infra/wait_for_nodes.py <address> <count>."""

import logging
import sys
import time

import ray

SECONDS = 60.0


def main(address: str, count: int) -> None:
    """Return once they have joined; SystemExit with a line after a minute."""
    end = time.monotonic() + SECONDS
    found = 0
    while True:
        try:
            if not ray.is_initialized():
                ray.init(address, logging_level=logging.CRITICAL, log_to_driver=False)
            found = sum(node["Alive"] for node in ray.nodes())
        except (ConnectionError, RuntimeError):  # it is just starting
            ray.shutdown()
        if found >= count:
            return
        if time.monotonic() > end:
            sys.exit(f"error: {found} of {count} machines have joined the Ray at {address} within {SECONDS:.0f} s")
        time.sleep(0.5)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
