"""Depth: whole residual blocks go, and what is left is proven."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

import onnxprune as op
from onnxprune.cost.ledger import Ledger
from onnxprune.coupling.analysis import analyse
from onnxprune.coupling.blocks import find_blocks, without
from onnxprune.coupling.groups import find_groups
from onnxprune.data.batches import Batch
from onnxprune.errors import CheckFailedError, UsageError
from onnxprune.ir.canonical import canonicalise
from onnxprune.passes import FoldConstants, FoldEmpty, RemoveBlocks, Repair
from onnxprune.passes.fold.empty import without_empty
from onnxprune.passes.remove.slicing import remove
from onnxprune.pipelines.presets import pruning
from onnxprune.pipelines.result import Result
from tests.conftest import FIXTURES
from tests.passes.samples import RNG, batches, deviation
from tests.texts import Weight, assert_valid, f32, model_of, op_types

IMAGE = (3, 5, 5)
SCALES = (1.0, 0.01, 0.3)
TEXT = """g (float[n,3,5,5] x) => (float[n,4,5,5] y) {
    h0 = Conv(x, w0)
    a1 = Conv(h0, a1w) r1 = Relu(a1) b1 = Conv(r1, b1w, b1b) h1 = Add(h0, b1)
    a2 = Conv(h1, a2w) r2 = Relu(a2) b2 = Conv(r2, b2w, b2b) h2 = Add(b2, h1)
    a3 = Conv(h2, a3w) r3 = Relu(a3) b3 = Conv(r3, b3w, b3b) h3 = Add(h2, b3)
    y = Conv(h3, w1)
}"""


def network(scales: tuple[float, ...] = SCALES) -> op.Model:
    """Three blocks, of which the second one adds next to nothing."""
    weights: dict[str, Weight] = {"w0": (6, 3, 1, 1), "w1": (4, 6, 1, 1)}
    for number, scale in enumerate(scales, 1):
        weights[f"a{number}w"] = (8, 6, 1, 1)
        weights[f"b{number}w"] = f32(RNG.standard_normal((6, 8, 1, 1)) * scale)
        weights[f"b{number}b"] = f32(RNG.standard_normal(6) * scale)
    return model_of(TEXT, weights)


def removed(data: list[Batch] | None = None, *then: Any, **options: Any) -> Result:
    passes = [FoldConstants(), RemoveBlocks(**options), FoldEmpty(), *then]
    return op.Pipeline(passes).run(network(), data=data)


@pytest.mark.parametrize("criterion", ["influence", "sensitivity"])
@pytest.mark.parametrize("has_data", [False, True])
def test_the_block_goes_that_is_missed_least(criterion: str, has_data: bool) -> None:
    result = removed(batches(IMAGE) if has_data else None, criterion=criterion)
    assert result.verify().passed
    assert_valid(result.model)
    assert result.removals[0].blocks == ("h2",)
    assert not {"a2w", "b2w", "a2", "r2", "b2"} & (
        result.model.constants.keys() | result.model.results
    )
    (bias,) = (t for name, t in result.model.constants.items() if name.endswith("::bias"))
    left = result.original.constants["b2b"].numpy()  # what the block adds without channels
    assert np.array_equal(bias.numpy().ravel(), left)


@pytest.mark.parametrize("criterion", ["influence", "sensitivity", "random"])
def test_as_many_go_as_asked(criterion: str) -> None:
    result = removed(None, count=2, criterion=criterion, seed=3)
    assert result.verify().passed
    assert len(result.removals[0].blocks) == 2
    assert op_types(result.model).count("Conv") == 4


def test_all_may_go() -> None:
    result = removed(None, count=3)
    assert result.verify().passed
    assert op_types(result.model) == ["Conv", "Add", "Add", "Add", "Conv"]


def test_more_than_there_are_is_an_error() -> None:
    with pytest.raises(CheckFailedError, match="4 blocks were to go") as raised:
        removed(None, count=4)
    assert "the model has 3" in raised.value.why


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "0 blocks cannot be removed"),
        ({"criterion": "beauty"}, "there is no criterion for blocks 'beauty'"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RemoveBlocks(**options)


def test_ignored_blocks_stay() -> None:
    result = removed(None, count=2, ignore=("b2", "r2"))
    assert set(result.removals[0].blocks) == {"h1", "h3"}


def test_of_nested_blocks_one_goes() -> None:
    text = """g (float[n,6] x) => (float[n,4] y) {
        h = MatMul(x, w0) a = MatMul(h, wa) c = MatMul(a, wc) d = MatMul(c, wd) t = Add(a, d)
        b = MatMul(t, wb) s = Add(h, b) y = MatMul(s, w1)
    }"""
    shapes: dict[str, Weight] = {"w0": (6, 6), "wa": (6, 5), "wc": (5, 7), "wd": (7, 5),
                                 "wb": (5, 6), "w1": (6, 4)}  # fmt: skip
    for criterion in ("influence", "sensitivity", "random"):
        once = op.Pipeline([FoldConstants(), RemoveBlocks(criterion=criterion), FoldEmpty()])
        assert once.run(model_of(text, shapes)).verify().passed
        with pytest.raises(CheckFailedError, match="2 blocks were to go"):
            op.Pipeline([RemoveBlocks(count=2, criterion=criterion)]).run(model_of(text, shapes))


def test_a_plan_replays_it() -> None:
    result = pruning(blocks=1, ratio=0.5, round_to=1).run(network())
    assert result.verify().passed
    assert len(result.removals) == 2
    plan = op.Plan.from_json(result.plan.to_json())
    again = op.apply_plan(plan, result.original)
    assert again.verify().passed
    assert again.model.constants.keys() == result.model.constants.keys()
    for name, tensor in again.model.constants.items():
        assert np.array_equal(tensor.numpy(), result.model.constants[name].numpy())


def test_only_blocks_go_unless_an_amount_is_said() -> None:
    alone, both = pruning(blocks=1), pruning(blocks=1, ratio=0.5)
    names = [step.name for step in alone.passes]
    assert names == ["fold-constants", "remove-blocks", "fold-empty", "repair"]
    more = ["remove-channels", "fold-empty", "repair"]
    assert [step.name for step in both.passes] == [*names[:-1], *more]


def test_repair_makes_up_for_a_block() -> None:
    data = batches(IMAGE, 16)
    plain, repaired = removed(data, count=2), removed(data, Repair(), count=2)
    assert repaired.verify().passed
    assert repaired.removals[0].repaired is not None

    assert deviation(repaired, data) < 0.7 * deviation(plain, data)


def test_repair_sees_blocks_that_went_before_channels() -> None:
    """The channels that go after them are none: still there is something to repair."""
    result = removed(batches(IMAGE), op.passes.RemoveChannels(ratio=0.0), Repair(), count=2)
    assert result.verify().passed
    assert result.plan.repaired


def test_a_leaf_that_other_layers_share_is_not_taken_for_gone() -> None:
    """The halves of rotary embeddings are one leaf in all layers; a plan tells them from heads."""
    layer = """
        q{i} = MatMul(h{i}, q{i}w) k{i} = MatMul(h{i}, k{i}w) v{i} = MatMul(h{i}, v{i}w)
        a{i} = Reshape(q{i}, heads) b{i} = Mul(a{i}, turn) c{i} = Transpose<perm=[0,2,1,3]>(b{i})
        d{i} = Reshape(k{i}, heads) e{i} = Mul(d{i}, turn) f{i} = Transpose<perm=[0,2,3,1]>(e{i})
        g{i} = Reshape(v{i}, heads) j{i} = Transpose<perm=[0,2,1,3]>(g{i})
        l{i} = MatMul(c{i}, f{i}) p{i} = Softmax(l{i}) m{i} = MatMul(p{i}, j{i})
        n{i} = Transpose<perm=[0,2,1,3]>(m{i}) r{i} = Reshape(n{i}, flat) o{i} = MatMul(r{i}, o{i}w)
        h{j} = Add(h{i}, o{i})
    """
    layers = "".join(layer.format(i=i, j=i + 1) for i in range(2))
    weights: dict[str, Weight] = {"turn": (4,), "w0": (6, 12), "w1": (12, 5)}
    weights |= {f"{kind}{i}w": (12, 12) for kind in "qkvo" for i in range(2)}
    weights |= {"heads": np.array([0, 0, 3, 4]), "flat": np.array([0, 0, 12])}
    model = model_of(
        f"g (float[batch,length,6] x) => (float[batch,length,5] y) "
        f"{{ h0 = MatMul(x, w0) {layers} y = MatMul(h2, w1) }}",
        weights,
    )
    result = op.Pipeline([FoldConstants(), RemoveBlocks(), FoldEmpty()]).run(model)
    assert result.verify().passed  # at two sizes
    again = op.apply_plan(op.Plan.from_json(result.plan.to_json()), model)
    assert again.verify().passed
    assert again.model.node_count == result.model.node_count


@pytest.mark.parametrize("ir_version", [3, 8])
def test_weights_may_be_listed_among_the_inputs(ir_version: int) -> None:
    proto = network().to_proto()
    proto.ir_version = ir_version
    for tensor in proto.graph.initializer if ir_version == 3 else ():
        info = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        proto.graph.input.append(info)
    result = pruning(blocks=2).run(op.load(proto))
    assert result.verify().passed
    listed = {info.name for info in result.model.proto.graph.input} - {"x"}
    assert listed == (set(result.model.constants) if ir_version == 3 else set())


def test_a_budget_may_take_blocks() -> None:
    """Where widths alone cannot meet it, the blocks go that matter least."""
    model, data = network((1.0, 0.01, 1.0)), batches(IMAGE)
    asked: dict[str, Any] = {"targets": ("macs=0.2",), "round_to": 1, "ratios": ("residual *=0",)}
    with pytest.raises(CheckFailedError, match="the budget cannot be met"):
        pruning(**asked).run(model, data=data)
    result = pruning(blocks="auto", **asked).run(model, data=data)
    assert result.verify().passed
    assert "h2" in result.removals[0].blocks
    whole, left = (
        Ledger(analyse(canonicalise(m)), ()).totals for m in (result.original, result.model)
    )
    assert left.macs <= 0.2 * whole.macs


def test_blocks_need_a_budget_to_pay_off() -> None:
    with pytest.raises(UsageError, match="where there is a budget"):
        pruning(blocks="auto", ratio=0.3)


def test_a_ledger_knows_what_goes_with_a_block() -> None:
    model = op.load(FIXTURES / "digits_vit.ts.onnx")
    analysis = analyse(canonicalise(model))
    groups = find_groups(analysis)
    block = find_blocks(analysis, groups)[2]
    ledger = Ledger(analysis, block.groups)
    ledger.set(dict.fromkeys(block.groups, 0), block)
    keeps = without(block.groups)
    small = without_empty(analysis, keeps, remove(analysis, keeps))
    found = Ledger(analyse(canonicalise(small)), ()).totals
    assert ledger.totals.macs == found.macs
    biases = sum(t.size for name, t in small.constants.items() if name.endswith("::bias"))
    assert ledger.totals.params == found.params - biases
    assert ledger.totals.memory == pytest.approx(found.memory, rel=0.05)
