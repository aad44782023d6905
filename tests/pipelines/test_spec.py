"""Textual pipelines: round trips, and errors that suggest what was meant."""

from __future__ import annotations

import pytest

import onnxprune as op
from onnxprune.errors import UsageError
from onnxprune.passes import (
    PASSES,
    ApplyPlan,
    FoldConstants,
    FoldEmpty,
    Quantize,
    RemoveChannels,
    Repair,
)
from onnxprune.passes.work import Pass
from onnxprune.pipelines.spec import options_of, parse_pipeline


@pytest.mark.parametrize(
    "text",
    [
        "fold-constants",
        "fold-constants,remove-channels,fold-empty",
        "fold-constants,remove-channels{ratio=0.5,criterion=l1},fold-empty",
        "remove-channels{scope=global,round_to=8}",
        "remove-channels{kinds=head|channel,ignore=conv*|head}",
        "remove-channels{minimum=4,seed=3},remove-channels{ratio=0.1}",
        "apply-plan{plan=/tmp/plan.json}",
        "repair{random=True},quantize{mode=dynamic,per_channel=False,ignore=head*|Gemm}",
    ],
)
def test_round_trip(text: str) -> None:
    assert str(op.Pipeline(text)) == text
    assert op.Pipeline(text).passes == op.Pipeline(str(op.Pipeline(text))).passes


def test_text_and_objects_are_the_same() -> None:
    text = "fold-constants,remove-channels{ratio=0.4,criterion=l1,round_to=4},fold-empty"
    passes: list[Pass] = [
        FoldConstants(),
        RemoveChannels(ratio=0.4, criterion="l1", round_to=4),
        FoldEmpty(),
    ]
    assert parse_pipeline(text) == passes
    assert str(op.Pipeline(passes)) == text


def test_truths_may_be_written_small() -> None:
    assert parse_pipeline("quantize{per-channel=false,symmetric=true}") == [
        Quantize(per_channel=False, symmetric=True)
    ]
    assert parse_pipeline("repair{random=False}") == [Repair()]


def test_spaces_and_dashes_are_free() -> None:
    text = " fold-constants , remove-channels { round-to = 4 , ratio=0.25 }, fold-empty "
    assert parse_pipeline(text)[1] == RemoveChannels(ratio=0.25, round_to=4)
    assert parse_pipeline("remove-channels{}") == [RemoveChannels()]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "has no passes", "onnxprune passes"),
        ("fold-constant", "there is no pass 'fold-constant'", "'fold-constants'"),
        ("xyz", "there is no pass 'xyz'", "choose from"),
        ("remove-channels{ration=0.3}", "no option 'ration'", "'ratio'"),
        ("remove-channels{zzz=1}", "no option 'zzz'", "it has ratio, scope"),
        ("fold-empty{ratio=1}", "no option 'ratio'", "it has none"),
        ("remove-channels{ratio}", "no option 'ratio'", "ratio"),
        ("remove-channels{ratio=much}", "'much' is no number", ""),
        ("remove-channels{minimum=1.5}", "'1.5' is no number", ""),
        ("remove-channels{ratio=2}", "ratio of channels to remove is 2.0", "0.3 removes"),
        ("remove-channels{round_to=many}", "round_to is 'many'", "auto"),
        ("quantize{symmetric=yes}", "neither true nor false", ""),
        ("quantize{mode=int4}", "no mode of quantization 'int4'", "qdq, dynamic"),
        ("remove-channels{ratio=0.3", "cannot be read", "NAME{option=value"),
        ("fold-constants;fold-empty", "cannot be read", "separated by commas"),
        ("Fold", "cannot be read", "NAME"),
    ],
)
def test_errors_suggest(text: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        op.Pipeline(text)
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert raised.value.exit_code == 2


@pytest.mark.parametrize("kind", PASSES.values(), ids=PASSES.keys())
def test_every_pass_tells_its_options(kind: type) -> None:
    options = options_of(kind)
    assert all(name and type_name for name, (type_name, _) in options.items())
    if kind is RemoveChannels:
        assert options["ratio"] == ("float", "0.3")
        assert options["round_to"] == ("number or auto", "auto")
        assert options["scope"] == ("str", "uniform")
        assert options["kinds"][0] == "names joined by |"


def test_a_plan_in_memory_has_a_readable_name() -> None:
    text = str(op.Pipeline([ApplyPlan(plan=op.Plan("0" * 64, {"w": {0: tuple(range(999))}}))]))
    assert len(text) < 100
