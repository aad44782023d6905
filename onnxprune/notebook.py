"""Small tables for notebooks, which ask objects for ``_repr_html_``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import islice
from typing import Final

ROW_LIMIT: Final = 20
"""A table shows at most so many rows, and how many there are beyond them."""


def html_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in HTML; whatever stands in it is text, and escaped.

    Args:
        title: its caption.
        headings: one for each column.
        rows: what stands in each column; whole numbers get their thousands apart.
    """
    remaining = iter(rows)
    shown = [_line("td", row) for row in islice(remaining, ROW_LIMIT)]
    if beyond := sum(1 for _ in remaining):
        shown.append(f'<tr><td colspan="{len(headings)}">and {beyond:,} more</td></tr>')
    return (
        f"<table><caption>{escape(title)}</caption>"
        f"<thead>{_line('th', headings)}</thead><tbody>{''.join(shown)}</tbody></table>"
    )


def _line(tag: str, row: Sequence[object]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(_text(part))}</{tag}>' for part in row)}</tr>"


def _text(part: object) -> str:
    return f"{part:,}" if isinstance(part, int) and not isinstance(part, bool) else str(part)
