"""What went wrong, in a line."""

from onnxprune.errors import OnnxPruneError

DIED = "the process died: a crash, or no memory left"
_MOST = 300
"""Characters of a line."""


def line_of(error: Exception) -> str:
    """An error of onnxprune as it says itself; of any other, which is a fault, also its type."""
    if not isinstance(error, OnnxPruneError):
        return f"{type(error).__name__}: {error}"[:_MOST]
    parts = (error.message, error.where, error.why)
    return ": ".join(part.splitlines()[0] for part in parts if part)[:_MOST]
