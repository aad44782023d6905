"""A random network, pruned at random, has to compute what its masked original computes."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

import onnxprune as op
from onnxprune.coupling.groups import DEFAULT_KINDS, KINDS
from onnxprune.data.narrow import narrowed
from onnxprune.data.random import Feeds, random_feeds, resized
from onnxprune.errors import CheckFailedError
from onnxprune.ir.elements import is_float_type
from onnxprune.ir.model import Model
from onnxprune.pipelines.presets import pruning
from onnxprune.pipelines.result import Result
from onnxprune.runtime import Session
from onnxprune.verify.sessions import session_of
from tests.random_graphs.builder import Choices

SIZES = ({"height": 8, "width": 8}, {"height": 12, "width": 9})
"""Two sizes of images whose size is dynamic; what the analysis binds them to is too large here."""

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Options:
    """How a network is pruned and written."""

    ratio: float
    scope: str
    criterion: str
    kinds: tuple[str, ...]
    round_to: int | Literal["auto"]
    allow_io: bool
    external: bool
    again: bool = False
    target: str = ""
    blocks: int = 0
    zeros: str = ""


def options(choices: Choices) -> Options:
    return Options(
        choices.choose((0.35, 0.2, 0.5, 0.8)),
        choices.choose(("uniform", "global", "isomorphic")),
        choices.choose(("l2", "l1", "fpgm", "wanda", "obs")),
        choices.choose((DEFAULT_KINDS, KINDS)),
        choices.choose((1, 1, 2, "auto")),
        choices.number(0, 7) == 7,
        choices.number(0, 3) == 3,
        choices.number(0, 3) == 3,
        choices.choose(("", "", "macs=0.6", "params=0.6", "memory=0.8")),
        choices.choose((0, 0, 1)),
        choices.choose(("", "0.5", "", "2:4", "0.9")),
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a network: ``passed`` or ``cannot tell``, and whether it lost anything."""

    verdict: str
    is_pruned: bool


def examine(proto: onnx.ModelProto, chosen: Options, folder: Path) -> Outcome:
    """Prune, prove, write, read, check and run; replay the plan; perhaps prune the result again.

    Raises:
        AssertionError: any of these went wrong.
    """
    result = pruned(proto, chosen)
    verdict = result.verify(feeds_of(result, 1) if _is_sized(proto) else None, check=False)
    assert verdict.verdict != "failed", verdict
    written = folder / "pruned.onnx"
    result.model.save(written, external=chosen.external)
    check_written(result, written)
    if result.is_pruned:
        for removal in result.removals:
            before = removal.analysis.canonical.model.parameters
            assert not removal.keeps or removal.pruned.parameters < before
        if chosen.zeros:
            check_zeros(result, chosen.zeros)
        else:
            check_replayed(result)
        if chosen.again:
            examine(result.model.to_proto(), replace(chosen, again=False), folder)
    return Outcome(verdict.verdict, result.is_pruned)


def pruned(proto: onnx.ModelProto, chosen: Options) -> Result:
    """A network pruned as the options say; by its ratio alone, where they cannot be met."""
    ports = (*proto.graph.input[:1], *proto.graph.output[:1]) if chosen.allow_io else ()
    shapes = shapes_at(proto, 0) if _is_sized(proto) else None
    asked = ((chosen.target,) if chosen.target else (), chosen.blocks)
    for targets, blocks in dict.fromkeys((asked, (asked[0], 0), ((), 0))):
        pipeline = pruning(
            ratio=chosen.ratio,
            scope=chosen.scope,
            criterion=chosen.criterion,
            kinds=chosen.kinds,
            round_to=chosen.round_to,
            allow_io=tuple(f"{info.name}:1" for info in ports),
            targets=targets,
            blocks=blocks,
            sparsify=_zeros(chosen.zeros) if chosen.zeros else None,
        )
        with suppress(CheckFailedError):
            return pipeline.run(op.load(proto), input_shapes=shapes)
    raise AssertionError("a ratio cannot fail")


def check_written(result: Result, path: Path) -> None:
    """What was written is valid and computes what is in memory.

    It runs unoptimised, for ONNX Runtime 1.31 cannot optimise some of these networks at all.
    """
    onnx.checker.check_model(str(path), full_check=True)
    feed = narrowed(feeds_of(result, 0)[0], result.ports)
    with session_of(result.model, threads=1) as session:
        expected = session.run(feed)
    found = Session(path, provider="cpu", threads=1, optimization="none").run(feed)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert np.array_equal(found[name], array, equal_nan=True), name


def check_zeros(result: Result, asked: str) -> None:
    """As many weights as asked for became zero, and nothing but what the plan lists is new."""
    share = _zeros(asked).get("sparsity", 0.5)
    for sparse in (removal.sparsified for removal in result.removals if removal.sparsified):
        # Each layer is rounded by itself; and what was zero before counts.
        assert sparse.zeros >= share * sparse.total - 0.5 * len(sparse.names)
        assert sparse.names & result.model.constants.keys() <= result.plan.repaired.keys()


def _zeros(asked: str) -> dict[str, Any]:
    return {"pattern": asked} if ":" in asked else {"sparsity": float(asked)}


def check_replayed(result: Result) -> None:
    """The plan, read back from text, makes the same model once more."""
    plan = op.Plan.from_json(result.plan.to_json())
    again = op.apply_plan(plan, result.original, input_shapes=result.input_shapes or None).model
    assert_same_weights(again, result.model)


def assert_same_weights(a: Model, b: Model) -> None:
    """Lists of sizes that were added on the way may be called otherwise."""
    found, expected = (
        {
            name: tensor
            for name, tensor in model.constants.items()
            if is_float_type(tensor.elem_type)
        }
        for model in (a, b)
    )
    assert found.keys() == expected.keys(), found.keys() ^ expected.keys()
    for name, tensor in found.items():
        assert np.array_equal(tensor.numpy(), expected[name].numpy()), name


def feeds_of(result: Result, size: int) -> list[Feeds]:
    specs = result.specs()
    if _is_sized(result.original.proto):
        specs = resized(specs, shapes_at(result.original.proto, size))
    return [random_feeds(specs, seed) for seed in range(2)]


def _is_sized(proto: onnx.ModelProto) -> bool:
    """Whether images come in any size."""
    labels = {d.dim_param for info in proto.graph.input for d in info.type.tensor_type.shape.dim}
    return "height" in labels


def shapes_at(proto: onnx.ModelProto, size: int) -> Shapes:
    """Shapes of the inputs at one of the `SIZES`; other dynamic axes are small."""
    sizes = {"batch": 2 + size, "length": 6 + size, "memory": 4 + size, "past": 3 + size}
    sizes |= SIZES[size]
    constants = {tensor.name for tensor in proto.graph.initializer}
    return {
        info.name: tuple(d.dim_value or sizes[d.dim_param] for d in info.type.tensor_type.shape.dim)
        for info in proto.graph.input
        if info.name not in constants
    }
