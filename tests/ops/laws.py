"""The laws: what removing indices must do to an operator's results, checked on ONNX Runtime.

`Bench` puts one case on a graph of its own. `check` slices its operands by keep masks, runs the
smaller operator and compares. With ``take`` for slicing and ``zero`` for hiding behind zeros:

- *kept*, where the operator neither sums nor reduces over the leaves: ``op(take x) == take(op x)``
- *contracted*, where it sums over them: ``op(take x) == take(op(zero x))``, whichever operand is
  hidden that carries them
- *masked*, always: ``op(take x) == take(masked(zero x))`` with the masked reference

An operator that tells sizes has a law of its own: it tells those that are left.

Slicing here shares nothing with `passes.remove`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

import numpy as np
import onnx
import onnx.inliner
import onnx.parser
from onnx import helper
from onnx.reference import ReferenceEvaluator

from onnxprune.axes import BoolArray, Dim, DimSpace, Keep, kept_size, tensor_mask
from onnxprune.coupling.analysis import Analysis, static_data
from onnxprune.coupling.placed import Placed
from onnxprune.errors import RuntimeFailureError
from onnxprune.ir.canonical import canonicalise
from onnxprune.ir.graph import nodes
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.ops.operator import Operator
from onnxprune.ops.registry import lookup
from onnxprune.ops.site import Site, Value
from onnxprune.runtime import Session
from onnxprune.verify.reference import masked_reference
from tests.ops.case import AnyArray, Case, Draw

Arrays = Mapping[str, AnyArray]
Keeps = dict[Dim, Keep]
_IR_VERSION = 10
_STANDARD = 17
"""The standard opset beside an operator of another domain."""
_FIRST_BROADCAST = 7
"""First opset that a masked reference can be written in."""
_RAGGED = {
    **dict.fromkeys(("Conv", "ConvTranspose"), (("i", "g"), ("o", "g"))),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (("h", "d"),)),
}
"""Letters that may keep other indices for each index of another one."""
_TOLERANCES = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}


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


def draw_keeps(bench: Bench) -> Iterator[Keeps]:
    """Asymmetric masks: of each free leaf several, of pairs of leaves one."""
    rng = np.random.default_rng(1)
    leaves = bench.free_leaves()
    for leaf in leaves:
        for mask in draw_masks(leaf.size, rng):
            yield {leaf: Keep(mask)}
    for pair in list(combinations(leaves, 2))[:6]:
        yield {leaf: Keep(draw_masks(leaf.size, rng)[0]) for leaf in pair}
    yield from _ragged(bench, rng)


def draw_masks(size: int, rng: np.random.Generator) -> list[BoolArray]:
    """About half of the indices, a single one, all but one; none of them a palindrome."""
    if size == 2:
        return [np.array(mask) for mask in ((True, False), (False, True))]
    masks: list[BoolArray] = []
    for count in dict.fromkeys((max(2, size // 2), 1, size - 1)):
        mask = np.arange(size) < count
        while (mask == mask[::-1]).all() or mask[:count].all():
            mask = rng.permutation(mask)
        masks.append(mask)
    return masks


def _ragged(bench: Bench, rng: np.random.Generator) -> Iterator[Keeps]:
    """Equally many, but other indices for each index of a partner."""
    letters = bench.analysis.placed[0].site.letters
    for letter, partner in _RAGGED.get(bench.case.op_type, ()):
        leaf, over = letters[letter].root, letters[partner].root
        if leaf.is_free and over.size > 1:
            rows = [
                rng.permutation(np.arange(leaf.size) < leaf.size // 2) for _ in range(over.size)
            ]
            rows[0] = np.roll(rows[1], 1)
            yield {leaf: Keep(np.array(rows), over)}


def check(bench: Bench, keeps: Keeps) -> int:
    """Check every law for one removal.

    Returns:
        The number of comparisons.

    Raises:
        BrokenLawError: a law does not hold, or the smaller operator does not run.
    """
    values = bench.analysis.values
    taken = {name: take(array, values[name], keeps) for name, array in bench.feeds.items()}
    small = run(bench.case, sliced(bench, keeps), taken, bench.wanted)
    if any(p.operator is not None and p.operator.tells_sizes for p in bench.analysis.placed):
        # Sizes that are read as values keep what they were: the canonical form sees to it.
        full = run(bench.case, bench.model, bench.feeds, bench.wanted)
        return _compare("sizes", bench, keeps, small, full)
    reduced = keeps.keys() & bench.roles("reduced")
    carried = {leaf for name in bench.wanted for dim in values[name].dims for leaf in dim.leaves()}
    gone = keeps.keys() - carried
    count = 0
    if not reduced and not gone:
        full = run(bench.case, bench.model, bench.feeds, bench.wanted)
        count += _compare("kept", bench, keeps, small, full)
    hidings = list(_hidings(bench, keeps, gone | reduced))
    for feeds in hidings if not reduced else ():
        full = run(bench.case, bench.model, feeds, bench.wanted)
        count += _compare("contracted", bench, keeps, small, full)
    if bench.model.opset[""] < _FIRST_BROADCAST:
        return count
    reference = masked_reference(bench.analysis, keeps)
    for feeds in hidings:
        count += _compare(
            "masked", bench, keeps, small, run(bench.case, reference, feeds, bench.wanted)
        )
    return count


def _hidings(bench: Bench, keeps: Keeps, leaves: set[Dim]) -> Iterator[Arrays]:
    """The feeds with zeros at removed indices: of all operands, of each that suffices alone.

    Where something is reduced, that is the operand that it is reduced on.
    """
    neutral = _neutral(bench)
    hidden = {
        name: zero(x, bench.analysis.values[name], keeps, neutral.get(name))
        for name, x in bench.feeds.items()
    }
    yield hidden
    reduced = leaves & bench.roles("reduced")
    for name in hidden if leaves and len(hidden) > 1 else ():
        carried = {leaf for dim in bench.analysis.values[name].dims for leaf in dim.leaves()}
        known = neutral.get(name, name) is not None
        if known and leaves <= carried and reduced <= bench.roles("reduced", name):
            yield {**bench.feeds, name: hidden[name]}


def _compare(law: str, bench: Bench, keeps: Keeps, small: Arrays, full: Arrays) -> int:
    for name in bench.wanted:
        expected = take(full[name], bench.analysis.values[name], keeps)
        actual = small[name]
        problem = ""
        if actual.shape != expected.shape:
            problem = f"shape {actual.shape}, not {expected.shape}"
        elif not _close(actual, expected):
            problem = f"values differ: {actual.reshape(-1)[:4]}, not {expected.reshape(-1)[:4]}"
        if problem:
            masks = "; ".join(
                f"{leaf.label} keeps {np.flatnonzero(keep.mask)} of {keep.mask.shape}"
                for leaf, keep in keeps.items()
            )
            raise BrokenLawError(f"{bench.case.title}: {law} law, {name}, {masks}: {problem}")
    return len(bench.wanted)


def _close(actual: AnyArray, expected: AnyArray) -> bool:
    tolerance = _TOLERANCES.get(str(actual.dtype))
    if tolerance is None:
        return bool((actual == expected).all())
    return np.allclose(actual, expected, rtol=tolerance, atol=tolerance / 10, equal_nan=True)


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


def sliced(bench: Bench, keeps: Keeps) -> Model:
    """The operator without the removed indices: smaller constants, rewritten attributes."""
    model = bench.model.copy()
    arrays = {
        name: take(tensor.numpy(), bench.analysis.values[name], keeps)
        for name, tensor in model.constants.items()
    }
    for node, placed in zip(model.proto.graph.node, bench.analysis.placed, strict=True):
        assert placed.operator is not None
        rewrite = placed.operator.rewritten(placed.site, keeps)
        for index, array in rewrite.inputs.items():
            name = node.input[index]
            assert name in arrays, f"{name} is no constant"
            arrays[name] = array.astype(arrays[name].dtype)
        kept = [a for a in node.attribute if a.name not in rewrite.attributes]
        kept += [helper.make_attribute(name, v) for name, v in rewrite.attributes.items()]
        copies = [onnx.AttributeProto.FromString(a.SerializeToString()) for a in kept]
        del node.attribute[:]
        node.attribute.extend(copies)
    for info in model.proto.graph.input:
        value = bench.analysis.values[info.name]
        sizes = take(np.empty(value.shape, np.bool_), value, keeps).shape
        for dim, size in zip(info.type.tensor_type.shape.dim, sizes, strict=True):
            dim.dim_value = size
    del model.proto.graph.value_info[:]
    model.set_constants({name: ArrayTensor.of(array) for name, array in arrays.items()})
    return model


def take(array: AnyArray, value: Value, keeps: Keeps) -> AnyArray:
    """The elements of a tensor that stay."""
    mask = tensor_mask(value.dims, keeps)
    if mask is None:
        return array
    sizes = [kept_size(dim, keeps) for dim in value.dims]
    return array[np.broadcast_to(mask, array.shape)].reshape(sizes)


def zero(array: AnyArray, value: Value, keeps: Keeps, neutral: AnyArray | None = None) -> AnyArray:
    """The tensor with zeros, or what stands for them, where an index is removed."""
    mask = tensor_mask(value.dims, keeps)
    hidden = np.zeros((), array.dtype) if neutral is None else neutral
    return array if mask is None else np.where(mask, array, hidden)


def _neutral(bench: Bench) -> dict[str, AnyArray | None]:
    """Zero points by operand whose integers stand for numbers; None if there are several."""
    placed = bench.analysis.placed[0]
    arrays = {**{n: t.numpy() for n, t in bench.model.constants.items()}, **bench.feeds}
    found: dict[str, AnyArray | None] = {}
    for encoding in placed.operator.encodings if placed.operator is not None else ():
        if encoding.zero is not None and placed.site.has(encoding.zero):
            index = encoding.neutral(placed.site)
            zero_point = None if index is None else arrays[placed.node.inputs[index]].reshape(())
            found[placed.node.inputs[encoding.operand]] = zero_point
    return found
