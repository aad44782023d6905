"""The laws: what removing indices must do to an operator's results, checked on ONNX Runtime.

`check` slices the operands of a case by keep masks, runs the smaller operator and compares. With
``take`` for slicing and ``zero`` for hiding behind zeros:

- *kept*, where the operator neither sums nor reduces over the leaves: ``op(take x) == take(op x)``
- *contracted*, where it sums over them: ``op(take x) == take(op(zero x))``, whichever operand is
  hidden that carries them
- *masked*, always: ``op(take x) == take(masked(zero x))`` with the masked reference

An operator that tells sizes has a law of its own: it tells those that are left.

Slicing here shares nothing with `passes.remove`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import onnx
from onnx import helper

from onnxprune.axes import BoolArray, Dim, Keep, Keeps, kept_size, tensor_mask
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor
from onnxprune.ops.site import Value
from onnxprune.verify.reference import masked_reference
from tests.ops.bench import Arrays, Bench, BrokenLawError, run
from tests.ops.case import AnyArray

_FIRST_BROADCAST = 7
"""First opset that a masked reference can be written in."""
_RAGGED = {
    **dict.fromkeys(("Conv", "ConvTranspose"), (("i", "g"), ("o", "g"))),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (("h", "d"),)),
}
"""Letters that may keep other indices for each index of another one."""
_TOLERANCES = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-9}


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
