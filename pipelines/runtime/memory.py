"""How the C library keeps the memory that tensors have left."""

import ctypes

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""Parameters of glibc's mallopt (malloc.h)."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, up to its highest use, for what it allocates next.

    Each step of a training on the CPU frees and allocates the same tensors. By default glibc gives large ones back to
    the system and gets them again page by page, thousands of pages a step; the median step took 6 to 20% longer
    (benchmarks/results/allocation.json). With another C library nothing happens.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in ((TRIM_THRESHOLD, 2**30), (MMAP_THRESHOLD, 2**30), (TOP_PAD, 2**26)):
            mallopt(parameter, value)
