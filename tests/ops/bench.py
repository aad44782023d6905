"""A case on a graph of its own, analysed as a model is, and run by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import onnx
import onnx.inliner
import onnx.parser
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnxprune.axes import Dim, DimSpace
from onnxprune.coupling.analysis import Analysis, static_data
from onnxprune.coupling.placed import Placed
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.graph import nodes
from onnxprune.ir.model import Model
from onnxprune.ops.operator import Operator
from onnxprune.ops.registry import lookup
from onnxprune.ops.site import Site, Value
from onnxprune.runtime import Session
from tests.ops.case import AnyArray, Case, Draw

Arrays = Mapping[str, AnyArray]
_IR_VERSION = 10
_STANDARD = 17
"""The standard opset beside an operator of another domain."""


class BrokenLawError(AssertionError):
    """A signature says something of an operator that is not so."""


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A case on a graph of its own.

    Attributes:
        case: the case.
        analysis: of the graph; nothing outside of the operator blocks anything.
        feeds: elements of the operands that are fed.
        wanted: names of the results.
    """

    case: Case
    analysis: Analysis
    feeds: dict[str, AnyArray]
    wanted: list[str]

    @property
    def model(self) -> Model:
        """The model as it is."""
        return self.analysis.canonical.model

    @property
    def values(self) -> list[Value]:
        """The operands, constants included, and the results."""
        names = {*self.model.constants, *self.feeds, *self.wanted}
        return [value for name, value in self.analysis.values.items() if name in names]

    def free_leaves(self) -> list[Dim]:
        """The leaves that may be pruned, in the order of the operands."""
        found = (leaf for v in self.values for dim in v.dims for leaf in dim.leaves())
        return list(dict.fromkeys(leaf for leaf in found if leaf.is_free))

    def roles(self, name: str, operand: str = "") -> set[Dim]:
        """The leaves that have a role in the operator, or with one of its operands."""
        return {
            leaf
            for placed in self.analysis.placed
            for role in placed.site.roles
            if role.name == name and operand in ("", placed.node.inputs[role.operand])
            for leaf in role.dim.leaves()
        }


def build(case: Case, operator: Operator | None = None) -> Bench:
    """Put a case on a graph of its own.

    Args:
        case: the case.
        operator: what to believe of the operator in place of what is registered.
    """
    rng = np.random.default_rng(crc32(case.title.encode()))
    arrays = {
        f"x{i}": x.sample(rng) if isinstance(x, Draw) else x
        for i, x in enumerate(case.operands)
        if x is not None
    }
    fed = [f"x{i}" for i, x in enumerate(case.operands) if isinstance(x, Draw)]
    canonical = canonicalise(Model.load(_proto(case, arrays, fed)))
    if canonical.blind:
        feeds = {name: arrays[name] for name in fed}
        told = run(case, canonical.model, feeds, sorted(canonical.blind))
        canonical.facts.shapes.update({name: array.shape for name, array in told.items()})
        canonical.facts.elem_types.update(
            {name: helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in told.items()}
        )
    analysis = Analysis(canonical, DimSpace())
    for name in (*fed, *canonical.model.constants):
        _add_value(analysis, name)
    for node in nodes(canonical.model.proto):
        version = canonical.model.opset[node.domain]
        site = Site(
            node.name,
            node.op_type,
            version,
            node.attributes,
            tuple(analysis.values.get(name) for name in node.inputs),
            tuple(_add_value(analysis, name) if name else None for name in node.outputs),
            analysis.space,
        )
        own = lookup(node.domain, node.op_type, version)
        believed = operator if operator is not None and node.op_type == case.op_type else own
        assert believed is not None, f"{node.op_type} has no signature"
        believed.relate(site)
        site.block_omitted()
        analysis.placed.append(Placed(node, site, believed))
    analysis.space.settle()
    return Bench(case, analysis, {name: arrays[name] for name in fed}, case.results)


def _proto(case: Case, arrays: Arrays, fed: list[str]) -> onnx.ModelProto:
    inputs = ["" if x is None else f"x{i}" for i, x in enumerate(case.operands)]
    node = helper.make_node(case.op_type, inputs, list(case.outputs), case.op_type)
    node.domain = case.domain
    node.attribute.extend(helper.make_attribute(*pair) for pair in case.attributes.items())
    graph = helper.make_graph(
        [node],
        "case",
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(arrays[name].dtype), arrays[name].shape
            )
            for name in fed
        ],
        [onnx.ValueInfoProto(name=name) for name in case.results],
        [onnx.numpy_helper.from_array(arrays[name], name) for name in arrays if name not in fed],
    )
    opsets = [helper.make_opsetid(case.domain, case.opset)]
    if case.domain:
        opsets.append(helper.make_opsetid("", _STANDARD))
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
    inferred = onnx.shape_inference.infer_shapes(proto)
    untyped = [x for x in inferred.graph.output if not x.type.tensor_type.elem_type]
    told = (
        _run(case, inferred.SerializeToString(), {name: arrays[name] for name in fed}, case.results)
        if untyped
        else {}
    )
    for info in inferred.graph.output:
        kind = info.type.tensor_type
        kind.ClearField("shape")
        if info in untyped:
            kind.elem_type = helper.np_dtype_to_tensor_dtype(told[info.name].dtype)
    return inferred


def _add_value(analysis: Analysis, name: str) -> Value:
    facts = analysis.canonical.facts
    constant = name in analysis.canonical.model.constants
    shape = facts.shapes[name]
    dims = tuple(analysis.space.dim(size, (name, axis)) for axis, size in enumerate(shape))
    data = static_data(analysis.canonical, name)
    analysis.values[name] = Value(name, shape, dims, constant, data)
    return analysis.values[name]


def run(case: Case, model: Model, feeds: Arrays, wanted: list[str]) -> Arrays:
    """Run a model as it stands.

    Raises:
        BrokenLawError: ONNX Runtime refuses it.
    """
    return _run(case, model.to_bytes(), feeds, wanted)


def _run(case: Case, model: bytes, feeds: Arrays, wanted: list[str]) -> Arrays:
    if case.by_reference:
        evaluator = ReferenceEvaluator(onnx.load_from_string(model))
        return dict(zip(wanted, evaluator.run(wanted, dict(feeds)), strict=True))
    try:
        return Session(_spelt_out(case, model), optimization="none").run(feeds, wanted)
    except RuntimeFailureError as error:
        raise BrokenLawError(f"ONNX Runtime does not run it: {error}") from error


def _spelt_out(case: Case, model: bytes) -> bytes:
    """The model with what the case's operator means in its place, if the case says it."""
    if not case.means:
        return model
    proto = onnx.ModelProto.FromString(model)
    text = f'<domain: "{case.domain}", opset_import: ["": {_STANDARD}, "{case.domain}": 1]>'
    function = onnx.parser.parse_function(f"{text} {case.op_type} {case.means}")
    proto.functions.append(function)
    for node in proto.graph.node:
        given = {attribute.name for attribute in node.attribute}
        if node.op_type == case.op_type:  # the inliner does not know of defaults
            node.attribute.extend(a for a in function.attribute_proto if a.name not in given)
    return onnx.inliner.inline_local_functions(proto).SerializeToString()


def restricted_axes(bench: Bench) -> tuple[set[str], set[str]]:
    """Axes with more than one index that cannot be pruned, and those that can in part.

    Constants of integers and truth values are left out: they say how to do, not what with.
    """
    blocked: set[str] = set()
    partly: set[str] = set()
    for value in bench.values:
        if value.data is not None and value.data.dtype.kind in "biu":
            continue
        for axis, dim in enumerate(value.dims):
            free = {leaf.is_free for leaf in dim.leaves() if leaf.size > 1}
            if free == {False}:
                blocked.add(f"{value.name}.{axis}")
            elif len(free) == 2:
                partly.add(f"{value.name}.{axis}")
    return blocked, partly
