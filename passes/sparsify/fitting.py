"""One layer with zeros, and what is left of it fitted to what the original gives there."""

from __future__ import annotations

import numpy as np

from onnxprune.ops.affine import Linear
from onnxprune.passes.repair.gather import Seen
from onnxprune.passes.repair.least_squares import Array, Moments, fitted
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.repair.repair import as_constants, as_matrices
from onnxprune.passes.repair.targets import Target
from onnxprune.passes.sparsify.amount import Amount
from onnxprune.passes.sparsify.methods import (
    DAMPINGS,
    FEW_STEPS,
    Method,
    adapted,
    masked,
    second_of,
)
from onnxprune.passes.sparsify.settling import settled


def fit_sparse(
    target: Target, seen: Seen, numbers: Numbers, method: Method, amount: Amount, repair: bool
) -> dict[str, Array]:
    """A layer with zeros, and with what is left fitted to what it should give.

    Samples that are not fitted to say how much, and whether at all.
    """
    form = target.form
    assert isinstance(form, Linear)
    weight, bias = as_matrices(target, form, numbers)
    everything = seen.fit + seen.held
    plain = np.where(_gone(method, weight, everything, amount), 0.0, weight)
    if not repair and method != "sparsegpt":
        return {target.weight: form.restored(plain, numbers.shape(target.weight))}
    free = bias is not None or target.shifted
    dense = fitted(seen.fit, seen.held, weight, bias, shifted=target.shifted).weight
    judge = seen.held if seen.held.rows else seen.fit

    def error(found: Array) -> float:
        shift = seen.fit.shift(found) if free else np.zeros_like(found[:, :1])
        return judge.error(np.concatenate([found, shift], axis=1))

    errors = {0.0: error(plain)}
    second = second_of(seen.fit, centred=free)
    for damping in DAMPINGS:
        errors[damping] = error(settled(plain, dense, second, damping, FEW_STEPS))
    best = min(errors, key=lambda damping: errors[damping])
    found = adapted(method, dense, everything, amount, best, free) if best else plain
    return as_constants(target, form, numbers, found, everything.shift(found))


def _gone(method: Method, weight: Array, moments: Moments, amount: Amount) -> Array:
    """Where zeros go if nothing is adapted."""
    return masked("wanda" if method == "sparsegpt" else method, weight, moments, amount)
