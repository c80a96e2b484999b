"""Waiting for a peer: it is said within ten seconds for what, and given up within a minute."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from gen.errors import InputError
from gen.secrets import masked

NOTICE_SECONDS = 8.0
MOST_SECONDS = 60.0

Found = TypeVar("Found")


def asked(ask: Callable[[], Found]) -> Future[Found]:
    """What `ask` will return or raise, in another thread: a call that hangs cannot be interrupted."""
    done: Future[Found] = Future()

    def work() -> None:
        try:
            done.set_result(ask())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return done


def within_a_minute(peer: str, ask: Callable[[], Found]) -> Found:
    """As `within`, for a question that a peer answers soon."""
    return within(MOST_SECONDS, peer, ask)


def within(seconds: float, peer: str, ask: Callable[[], Found]) -> Found:
    """What `ask` returns or raises.

    Raises:
        InputError: `peer` has not answered in time; the thread is left behind.
    """
    done = asked(ask)
    try:
        return done.result(NOTICE_SECONDS)
    except TimeoutError:
        if done.done():
            raise
    print(f"waiting for {masked(peer)}, for {seconds:.0f} s at most", flush=True)
    try:
        return done.result(seconds - NOTICE_SECONDS)
    except TimeoutError:
        if done.done():
            raise
        raise InputError(f"{peer}: no answer within {seconds:.0f} s; see whether it can be reached") from None
