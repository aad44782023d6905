"""Put back together what canonicalisation took apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from onnxprune.ir.edit import with_constants
from onnxprune.ir.graph import all_nodes
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import Tensor


def merge_views(model: Model, provenance: Mapping[str, str]) -> Model:
    """Let views of one original constant be one again, where they still hold the same.

    Args:
        model: the model; it is left as it is.
        provenance: original constant by initializer.
    """
    families: dict[str, list[str]] = {}
    for name in model.constants:
        if name in provenance:
            families.setdefault(provenance[name], []).append(name)
    alias: dict[str, str] = {}
    for members in families.values():
        distinct: list[str] = []
        for name in members:
            twin = next(
                (d for d in distinct if _same(model.constants[name], model.constants[d])), ""
            )
            if twin:
                alias[name] = twin
            else:
                distinct.append(name)
    if not alias:
        return model
    merged = model.copy()
    for node, _ in all_nodes(merged.proto.graph):
        for place, name in enumerate(node.input):
            if name in alias:
                node.input[place] = alias[name]
    constants = {n: t for n, t in merged.constants.items() if n not in alias}
    return with_constants(merged, constants)


def _same(left: Tensor, right: Tensor) -> bool:
    if left is right:
        return True
    if left.shape != right.shape or left.elem_type != right.elem_type:
        return False
    return bool(np.array_equal(left.numpy(), right.numpy()))
