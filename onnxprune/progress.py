"""Progress: how far a long piece of work is, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from operator import length_hint
from typing import TypeVar

T = TypeVar("T")

Listener = Callable[[str, int, int | None], None]
"""Called with what is done, how much of it is done, and how much there is, if that is known."""

_LISTENER: ContextVar[Listener | None] = ContextVar("onnxprune.progress", default=None)


@contextmanager
def listening(listener: Listener) -> Generator[None]:
    """Let `listener` hear of all progress meanwhile."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def tell(what: str, done: int, total: int | None = None) -> None:
    """Tell how far something is that is no loop over known items; `track` is for those.

    Args:
        what: what is done, in a few words.
        done: how much of it; 0 at its beginning.
        total: how much there is, as far as is known now; equal to `done` at its end.
    """
    listener = _LISTENER.get()
    if listener is not None:
        listener(what, done, total)


def track(items: Iterable[T], what: str, total: int | None = None) -> Iterator[T]:
    """Go through `items`, and tell how far it is.

    Args:
        items: any.
        what: what is done with them, in a few words.
        total: their number; by default their length, or what they say that it may be.
    """
    listener = _LISTENER.get()
    if listener is None:
        yield from items
        return
    hint = length_hint(items, -1)
    count = total if total is not None else hint if hint >= 0 else None
    listener(what, 0, count)
    for place, item in enumerate(items):
        yield item
        listener(what, place + 1, count)
