"""Files of text, written as a whole or not at all, and what may stand in them."""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from onnxprune.errors import WriteError

_LOG = logging.getLogger(__name__)


def printable(text: str, spared: str = "") -> str:
    """A text with a mark in place of each control character, which XML and the like cannot hold.

    Args:
        text: any; names in models are anybody's.
        spared: control characters that may stay.
    """
    return "".join(x if x.isprintable() or x in spared else "�" for x in text)


def write_text(target: Path, text: str) -> None:
    """Write a text as a whole; what stood there before is intact if that fails.

    Args:
        target: the file.
        text: what it shall hold.

    Raises:
        WriteError: it cannot be written.
    """
    temporary = target.with_name(f".onnxprune-{secrets.token_hex(8)}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)
        _LOG.info("wrote %s", target)
    except OSError as error:
        raise WriteError(
            "the result could not be written",
            where=str(target),
            why=error.strerror or str(error),
            hint="what stood there before is unchanged",
        ) from error
    finally:
        with suppress(OSError):  # where it could not be made, there is none
            temporary.unlink()
