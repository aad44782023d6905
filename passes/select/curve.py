"""What a budget cost on the way to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Curve:
    """How much was lost, the less of a quantity was left.

    Attributes:
        quantity: one of `cost.ledger.QUANTITIES`.
        limit: the budget, as a share of the whole.
        points: share of the quantity that is left, and the loss up to there, from the whole model
            on; losses are those that the budget adds up, see `select/budget.py`.
    """

    quantity: str
    limit: float
    points: tuple[tuple[float, float], ...]
