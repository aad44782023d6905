"""Named things that other packages may add to by entry points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from onnxprune.errors import UsageError, unknown

T = TypeVar("T", bound=Callable[..., Any])


@cache
def _entries(group: str) -> dict[str, Any]:
    return {entry.name: entry for entry in entry_points(group=group)}


@dataclass(frozen=True, slots=True)
class Registry(Generic[T]):
    """Functions by name: those of ours, and those that installed packages offer.

    Attributes:
        what: what they are, in messages.
        group: the group of entry points.
        ours: the built-in ones.
    """

    what: str
    group: str
    ours: Mapping[str, T]

    @property
    def _offered(self) -> dict[str, Any]:
        return _entries(self.group)

    @staticmethod
    def forget() -> None:
        """Look for packages anew when next asked."""
        _entries.cache_clear()

    @property
    def names(self) -> list[str]:
        """All names, ours first."""
        return [*self.ours, *sorted(self._offered.keys() - self.ours.keys())]

    def __getitem__(self, name: str) -> T:
        """The function of that name.

        Raises:
            UsageError: there is none, or it cannot be loaded.
        """
        if name in self.ours:
            return self.ours[name]
        self.check(name)
        entry = self._offered[name]
        try:
            loaded: T = entry.load()
        except (ImportError, AttributeError) as error:
            raise UsageError(
                f"the {self.what} {name!r} cannot be loaded",
                where=f"entry point {entry.value}",
                why=str(error),
                hint="the package that offers it is broken or incomplete",
            ) from error
        return loaded

    def origin(self, name: str) -> str:
        """Where a function comes from that is not ours: the value of its entry point."""
        return "" if name in self.ours else str(self._offered[name].value)

    def check(self, name: str) -> None:
        """Refuse a name that there is not.

        Raises:
            UsageError: there is nothing of that name.
        """
        if name not in self.names:
            raise unknown(self.what, name, self.names)
