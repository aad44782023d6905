"""Progress: how far a long piece of work is, for whoever listens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
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


@dataclass(slots=True)
class _Tally:
    """Steps of one piece of work that are taken in many places."""

    what: str
    total: int
    done: int = 0

    def show(self) -> None:
        tell(self.what, min(self.done, self.total - 1), self.total)


_TALLY: ContextVar[_Tally | None] = ContextVar("onnxprune.tally", default=None)


@contextmanager
def tallied(what: str, total: int) -> Generator[None]:
    """Tell meanwhile how many steps of one piece of work are taken, wherever `counted` sees them.

    Args:
        what: what is done, in a few words.
        total: how many steps there are, as far as is known now; see `expect`.
    """
    tally = _Tally(what, max(total, 1))
    token = _TALLY.set(tally)
    tally.show()
    try:
        yield
    finally:
        _TALLY.reset(token)
        tell(what, tally.total, tally.total)


def expect(more: int) -> None:
    """Say that there are so many steps more than was thought, or fewer."""
    tally = _TALLY.get()
    if tally is not None and more:
        tally.total = max(tally.total + more, tally.done + 1)


def counted(items: Iterable[T]) -> Iterator[T]:
    """Go through `items`, each of which is a step of the work that is tallied, if any is."""
    tally = _TALLY.get()
    for item in items:
        yield item
        if tally is not None:
            tally.done += 1
            tally.show()
