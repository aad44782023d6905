"""Numbers as people read them."""

from __future__ import annotations

_UNITS = ("B", "kB", "MB", "GB", "TB")


def count(value: float) -> str:
    """A whole number with its thousands apart, as in ``197,450``; from a billion on, ``1.23 G``."""
    for limit, unit in ((1e12, "T"), (1e9, "G")):
        if value >= limit:
            return f"{value / limit:.2f} {unit}"
    return f"{value:,.0f}"


def compact(value: float) -> str:
    """A number in few characters, as in ``1.58 M``; whole below ten thousand."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= limit:
            scale = 1e3 if unit == "k" else limit
            return f"{value / scale:.3g} {unit}"
    return f"{value:,.0f}"


def size(size_bytes: float) -> str:
    """Bytes in decimal units, as in ``812.3 kB``."""
    value = float(size_bytes)
    for unit in _UNITS[:-1]:
        if value < 999.95:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} {_UNITS[-1]}"


def latency(latency_ms: float) -> str:
    """Milliseconds with three digits that count, as in ``0.0931 ms``."""
    return f"{latency_ms:.3g} ms" if latency_ms < 100 else f"{latency_ms:.0f} ms"


def rate(value: float) -> str:
    """A number of things a second with three digits that count, as in ``18.5`` or ``12.8 k``."""
    return f"{value:.3g}" if value < 999.5 else compact(value)


def share(part: float) -> str:
    """A share in per cent, as in ``43.7 %``; what is there but tiny is not shown as zero."""
    return "< 0.1 %" if 0 < part < 0.0005 else f"{part:.1%}".replace("%", " %")


def change(before: float | None, after: float | None) -> str:
    """A relative change in per cent with its sign; empty where nothing changed or is known."""
    if not before or after is None or before == after:
        return ""
    return f"{(after - before) / before:+.1%}".replace("%", " %")
