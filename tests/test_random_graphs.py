"""Random networks, pruned at random: what comes out is valid and equals the masked reference.

Every block of `tests/random_graphs` is drawn in a network of its own making, between others; by
`HYPOTHESIS_PROFILE=long` some sixty times as often.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from pathlib import Path

import onnx
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from onnxprune.axes.mask import is_touched
from onnxprune.coupling.groups import KINDS
from onnxprune.ir.graph import all_nodes
from onnxprune.ops.registry import FAMILIES
from tests.random_graphs import elementwise
from tests.random_graphs.drawing import Drawn, Seeded, Shown, networks
from tests.random_graphs.examining import Options, examine, options, pruned
from tests.random_graphs.networks import BLOCKS, Block, network

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
BY_NAME: dict[str, Block] = {
    f"{block.__module__.rpartition('.')[2]}.{block.__name__}": block
    for blocks in BLOCKS.values()
    for block in blocks
}
SEEDS = 200 if LONG else 40
NEVER_PRUNED_THROUGH = {
    "GridSample": "samples at random places amplify rounding; its cases must do",
    "Range": "it makes numbers, not channels",
    "ScatterElements": "written in one way only; its cases must do",
    "Size": "nothing reads how many elements a tensor has but a division by it",
    "Trilu": "it makes masks of places, which have no channels",
}
"""Operators with a signature that no network loses channels around, and why."""

APART = ("attention", "blockwise", "contrib", "opaque", "quantized", "signals")
DRAWN = [x for x in FAMILIES if not x.__name__.rpartition(".")[2].startswith(APART)]
"""Families that networks are made of."""
NEVER_DRAWN = {
    "ArrayFeatureExtractor",
    "Binarizer",
    "BitCast",
    "CategoryMapper",
    "Compress",
    "CumProd",
    "DeformConv",
    "Det",
    "Hardmax",
    "LRN",
    "LabelEncoder",
    "MaxRoiPool",
    "MeanVarianceNormalization",
    "Normalizer",
    "OneHot",
    "RegexFullMatch",
    "ReverseSequence",
    "RoiAlign",
    "Scatter",
    "StringConcat",
    "SwiGLU",
    "TensorScatter",
    "TopK",
}
"""Operators of these that exporters seldom write, and no network has; their cases must do."""


@st.composite
def drawn_options(draw: st.DrawFn) -> Options:
    return options(Drawn(draw))


@pytest.mark.parametrize("name", BY_NAME)
def test_pruned_networks_equal_their_masked_reference(name: str) -> None:
    @settings(
        max_examples=200 if LONG else 3,
        deadline=None,
        database=None,
        derandomize=not LONG,
        phases=(Phase.generate, Phase.shrink) if LONG else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(networks(BY_NAME[name]), drawn_options())
    def check(shown: Shown, chosen: Options) -> None:
        with tempfile.TemporaryDirectory() as folder:
            outcome = examine(shown.model, chosen, Path(folder))
        event(f"{outcome.verdict}, {'pruned' if outcome.is_pruned else 'nothing to prune'}")

    check()


def test_few_networks_prove_nothing() -> None:
    """The verdict "cannot tell" is an honest one, as long as it is rare."""
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            proto = network(Seeded(seed))
            outcome = examine(proto, options(Seeded(seed)), Path(folder))
            verdicts[outcome.verdict if outcome.is_pruned else "nothing to prune"] += 1
    assert verdicts["passed"] > 0.75 * SEEDS, verdicts
    assert verdicts["cannot tell"] < 0.15 * SEEDS, verdicts


def test_channels_are_removed_on_both_sides_of_every_operator() -> None:
    """No signature passes by refusing all that it is drawn for."""
    missing = {operator.name for family in DRAWN for operator in family.OPERATORS}
    excused = NEVER_PRUNED_THROUGH.keys() | NEVER_DRAWN
    assert missing >= excused
    missing -= excused
    drawn: set[str] = set()
    for block in BY_NAME.values():
        for seed in range(400 if block is elementwise.unary else 50):
            proto = network(Seeded(seed), block)
            there = {node.op_type for node, _ in all_nodes(proto.graph)}
            drawn |= there
            if missing & there:
                missing -= pruned_through(proto)
    assert not missing
    assert not drawn & NEVER_DRAWN


def pruned_through(proto: onnx.ModelProto) -> set[str]:
    """The operators that an activation goes into or comes out of with fewer channels."""
    removal = pruned(
        proto, Options(0.5, "uniform", "l2", KINDS, 1, allow_io=False, external=False)
    ).removals[-1]
    return {
        placed.site.op_type
        for placed in removal.analysis.placed
        for value in (*placed.site.inputs, *placed.site.outputs)
        if value is not None and not value.constant
        if any(is_touched(dim, removal.keeps) for dim in value.dims)
    }
