"""How two models differ as files: operators, weights, inputs and outputs, versions, metadata.

It needs no plan, and says the same of models that other tools pruned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx

from onnxprune.ir.graph import all_nodes, type_text
from onnxprune.ir.model import Model
from onnxprune.ir.sparse import written_out
from onnxprune.ir.tensors import Tensor

MODEL_FIELDS = ("producer_name", "producer_version", "domain", "model_version", "doc_string")
"""What a model says of itself, beside its properties."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one model to another.

    Attributes:
        operators: how many there are of each type, before and after, where that differs.
        weights: how many are ``same``, have other elements (``changed``) or shapes (``resized``),
            are gone (``removed``) or new (``added``); told apart by their names.
        ports: inputs and outputs that are not what they were, each with what it was and is.
        versions: opset by domain, and ``IR``, before and after, where that differs; 0 for none.
        lost: metadata that the second model does not have, or has with another value.
    """

    operators: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    weights: dict[str, int] = field(default_factory=dict[str, int])
    ports: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    versions: dict[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    lost: list[str] = field(default_factory=list[str])


def difference(original: Model, other: Model) -> Difference:
    """Compare two models as files.

    Args:
        original: the model before.
        other: the model after.

    Raises:
        ModelError: the weights of one cannot be read.
    """
    versions = ({**model.opset, "IR": model.proto.ir_version} for model in (original, other))
    said = dict(_metadata(other.proto))
    return Difference(
        operators=_changed(*(Counter(_operators(model)) for model in (original, other))),
        weights=dict(Counter(_weights(written_out(original), written_out(other)))),
        ports=_ports(original, other),
        versions=_changed(*versions),
        lost=[name for name, text in _metadata(original.proto) if said.get(name) != text],
    )


def operators_of(model: Model) -> set[str]:
    """The types of a model's operators, those in bodies included: ``DOMAIN.TYPE``, or ``TYPE``."""
    return set(_operators(model))


def _operators(model: Model) -> Iterator[str]:
    for node, _ in all_nodes(model.proto.graph):
        domain = "" if node.domain in ("", "ai.onnx") else f"{node.domain}."
        yield f"{domain}{node.op_type}"


def _changed(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    pairs = {name: (before.get(name, 0), after.get(name, 0)) for name in {**before, **after}}
    return {name: (old, new) for name, (old, new) in sorted(pairs.items()) if old != new}


def _weights(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> Iterator[str]:
    for name in {**before, **after}:
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            yield "added" if old is None else "removed"
        elif old.shape != new.shape or old.elem_type != new.elem_type:
            yield "resized"
        else:
            yield "same" if np.array_equal(_bytes(old), _bytes(new)) else "changed"


def _bytes(tensor: Tensor) -> np.typing.NDArray[np.uint8]:
    """Compared are bytes: a NaN is what it was."""
    return np.ascontiguousarray(tensor.numpy()).reshape(-1).view(np.uint8)


def _ports(original: Model, other: Model) -> dict[str, tuple[str, str]]:
    before, after = (dict(_declared(model)) for model in (original, other))
    pairs = {name: (before.get(name, ""), after.get(name, "")) for name in {**before, **after}}
    changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    for kind in ("input", "output"):
        orders = [[n for n in names if n.startswith(kind)] for names in (before, after)]
        if orders[0] != orders[1] and set(orders[0]) == set(orders[1]):
            changed[f"order of {kind}s"] = ", ".join(orders[0]), ", ".join(orders[1])
    return changed


def _declared(model: Model) -> Iterator[tuple[str, str]]:
    graph = model.proto.graph
    inputs = (info for info in graph.input if info.name not in model.constants)
    for kind, infos in (("input", inputs), ("output", graph.output)):
        yield from ((f"{kind} {info.name}", type_text(info.type)) for info in infos)


def _metadata(proto: onnx.ModelProto) -> Iterator[tuple[str, str]]:
    """What a model carries beside what it computes, by the name to call it."""
    for name in MODEL_FIELDS:
        if value := getattr(proto, name):
            yield name, str(value)
    yield from _properties("", proto.metadata_props)
    if proto.graph.doc_string:
        yield "doc string of the graph", proto.graph.doc_string
    yield from _properties("of the graph: ", proto.graph.metadata_props)
    for info in (*proto.graph.input, *proto.graph.output):
        if info.doc_string:
            yield f"doc string of {info.name}", info.doc_string
        yield from _properties(f"of {info.name}: ", info.metadata_props)


def _properties(
    owner: str, entries: Iterable[onnx.StringStringEntryProto]
) -> Iterator[tuple[str, str]]:
    yield from ((f"metadata {owner}{entry.key}", entry.value) for entry in entries)
