"""Widths that hardware likes.

ONNX Runtime's blocked convolutions need channels in multiples of 4 and work in blocks of 8 or 16:
63 channels take longer than 64. A group is therefore cut down to a multiple of `round_to`, counted
in the width that operators see.
"""

from __future__ import annotations

from math import gcd

from onnxprune.coupling.groups import Group

RoundTo = int | str
"""A multiple, or ``auto``."""


def kept_count(group: Group, ratio: float, round_to: RoundTo, minimum: int = 1) -> int:
    """How many indices of a group stay.

    Args:
        group: the group, of `n` indices.
        ratio: fraction to remove, in [0, 1).
        round_to: the width that operators see becomes a multiple of it, where that is possible.
        minimum: fewest indices kept.

    Returns:
        The multiple nearest to what the ratio asks for, the larger one of two; all `n` where no
        smaller multiple exists.
    """
    size = group.size
    target = max(size - int(size * ratio + 1e-9), minimum, 1)
    multiple = _multiple(group, round_to)
    step = multiple // gcd(multiple, group.width_step)
    if target >= size or step >= size:
        return min(target, size) if step <= 1 else size
    below, above = target // step * step, -(-target // step) * step
    nearest = below if below >= max(minimum, 1) and target - below < above - target else above
    return min(nearest, size)


def _multiple(group: Group, round_to: RoundTo) -> int:
    if isinstance(round_to, int):
        return max(round_to, 1)
    width = group.size * group.width_step
    if width >= 64:
        return 16
    return 8 if width >= 24 else 4
