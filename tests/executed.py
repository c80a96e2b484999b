"""What of gen and pipelines runs, beside what a digest of code counts (gen/code.py)."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType

from gen.code import DECIDES_NOTHING, HOME, Definition, read, used

Ran = set[tuple[str, str]]
"""A module, and the function or class in it."""


@contextmanager
def executed() -> Iterator[Ran]:
    """Collects what this thread calls inside the block."""
    ran: Ran = set()
    seen: set[CodeType] = set()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event != "call" or frame.f_code in seen:
            return
        seen.add(frame.f_code)
        name = frame.f_code.co_qualname.partition(".")[0]
        file = Path(frame.f_code.co_filename)
        if not name.startswith("<") and file.is_relative_to(HOME):
            ran.add((".".join(file.relative_to(HOME).with_suffix("").parts).removesuffix(".__init__"), name))

    sys.setprofile(note)
    try:
        yield ran
    finally:
        sys.setprofile(None)


def uncounted(ran: Ran, *roots: str) -> Ran:
    """What ran without being counted in the digest of the roots, though it is of a module that counts."""
    counted = used(*roots)
    modules = {module for module, _ in ran if module.startswith(("gen.", "pipelines."))} - DECIDES_NOTHING
    return {
        (module, name)
        for module, name in ran
        if module in modules
        and not any(one in counted for one in read(module).get(name, []) if isinstance(one, Definition))
    }
