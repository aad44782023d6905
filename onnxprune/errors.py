"""The errors that a user can meet, each with the exit code of the command line.

| code | meaning                                                                         |
|------|---------------------------------------------------------------------------------|
| 0    | done                                                                            |
| 1    | a gate, a requested check or a budget said no                                   |
| 2    | wrong usage                                                                     |
| 3    | the model is invalid or cannot be handled, or nothing can be pruned             |
| 4    | an execution provider is not available                                          |
| 5    | the compiler's own result failed its equivalence check, or an internal error    |
| 6    | cannot tell: a measurement too noisy, or inputs that prove nothing              |
| 7    | the result could not be written                                                 |
| 130  | interrupted                                                                     |

Every error says what happened, where, why, and what to do about it; whoever raises it
fills in as many of the four as are known.
"""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar, Final

EXIT_DONE: Final = 0
"""Exit code of a run that did what was asked."""

EXIT_INTERRUPTED: Final = 130
"""Exit code of a run that the user stopped (128 + SIGINT)."""


class OnnxPruneError(Exception):
    """Base of every error that onnxprune raises on purpose.

    Attributes:
        exit_code: Exit code of the command line for this kind of error.
        message: What happened, in one line.
        where: The file, node, value or option concerned; empty if there is none.
        why: The cause; empty if the message says it all.
        hint: What the user can do; empty if there is nothing to suggest.
    """

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, where: str = "", why: str = "", hint: str = "") -> None:
        """Makes an error.

        Args:
            message: What happened, in one line.
            where: The file, node, value or option concerned.
            why: The cause.
            hint: What the user can do.
        """
        super().__init__(message)
        self.message = message
        self.where = where
        self.why = why
        self.hint = hint

    def render(self) -> str:
        """Returns what, where, why and what to do, one a line, without the empty ones."""
        lines = [self.message]
        for label, text in (("where", self.where), ("why", self.why), ("hint", self.hint)):
            if text:
                # Causes come from other libraries and may have several lines.
                lines.append(f"  {label}: " + text.strip().replace("\n", "\n    "))
        return "\n".join(lines)

    def __str__(self) -> str:
        """Returns the same text as `render`."""
        return self.render()

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        """Returns what pickle needs: errors cross process boundaries with all their parts."""
        return _rebuild, (type(self), self.message, self.where, self.why, self.hint)


def _rebuild(
    kind: type[OnnxPruneError], message: str, where: str, why: str, hint: str
) -> OnnxPruneError:
    return kind(message, where=where, why=why, hint=hint)


class CheckFailedError(OnnxPruneError):
    """A gate, a requested check or a budget said no."""

    exit_code = 1


class UsageError(OnnxPruneError):
    """An option or an argument has a value that makes no sense."""

    exit_code = 2


class ModelError(OnnxPruneError):
    """The model is invalid, or valid but beyond what can be handled."""

    exit_code = 3


class NothingToPruneError(OnnxPruneError):
    """The model is fine, but nothing in it can be pruned as asked."""

    exit_code = 3


class RuntimeFailureError(OnnxPruneError):
    """ONNX Runtime could not load the model, or could not run it."""

    exit_code = 3


class PlanError(OnnxPruneError):
    """A plan or a state dict does not fit the model that it is applied to."""

    exit_code = 3


class ProviderUnavailableError(OnnxPruneError):
    """An execution provider was asked for that is not available here."""

    exit_code = 4


class EquivalenceError(OnnxPruneError):
    """The compiler's own result differs from the masked reference; nothing was written."""

    exit_code = 5


class InternalError(OnnxPruneError):
    """An invariant of the compiler does not hold: a bug, never the user's fault."""

    exit_code = 5

    def __init__(self, message: str, *, where: str = "", why: str = "", hint: str = "") -> None:
        """Makes an internal error; without a hint it asks for a report."""
        super().__init__(
            message,
            where=where,
            why=why,
            hint=hint or "this is a bug in onnxprune: please report it with the command and model",
        )


class CannotTellError(OnnxPruneError):
    """A measurement was too noisy, or the inputs prove nothing either way."""

    exit_code = 6


class WriteError(OnnxPruneError):
    """The result could not be written; what stood there before is intact."""

    exit_code = 7


def suggestion(name: str, names: Iterable[str]) -> str:
    """Returns a question with the name that comes closest, or nothing.

    Args:
        name: What was asked for.
        names: What there is.
    """
    close = get_close_matches(name, list(names), n=1)
    return f"did you mean {close[0]!r}?" if close else ""


def unknown(what: str, name: str, names: Iterable[str], *, where: str = "") -> UsageError:
    """Returns the error for a name that there is not; its hint is the closest one, or all.

    Args:
        what: What it should be the name of.
        name: What was asked for.
        names: What there is.
        where: Where it stands.
    """
    known = list(names)
    hint = suggestion(name, known) or f"choose from {', '.join(known)}"
    return UsageError(f"there is no {what} {name!r}", where=where, hint=hint)


def few(names: Sequence[str], most: int = 8) -> str:
    """Returns a list of names for a message; of many the first, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
