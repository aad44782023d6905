"""What the proof says where inputs tell too little, rounding decides, or branches part."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import onnxprune as op
from onnxprune.errors import CannotTellError
from onnxprune.verify.deviation import Deviation
from onnxprune.verify.rounding import excuse_overflow
from tests.texts import f32, model_of, replace
from tests.verify.networks import branching


@pytest.mark.parametrize(
    ("text", "zero"),
    [
        ("m = Mul(h, nothing) n = Add(m, one) y = Conv(n, w2)", 0.0),
        ("m = Sub(h, far) n = Relu(m) y = Conv(n, w2)", 1e6),
    ],
)
def test_output_that_does_not_react_proves_nothing(text: str, zero: float) -> None:
    result = muted(text, zero)
    with pytest.raises(CannotTellError, match="no output reacts") as raised:
        result.verify()
    assert raised.value.exit_code == 6


@pytest.mark.parametrize(
    ("text", "zero"),
    [
        ("z = Conv(h, w2) m = Mul(z, nothing) y = Add(m, one)", 0.0),
        ("z = Conv(h, w2) m = Sub(z, far) y = Relu(m)", 1e6),
    ],
)
def test_what_nothing_was_removed_from_computes_the_same(text: str, zero: float) -> None:
    assert muted(text, zero).verify().passed


def muted(text: str, zero: float) -> op.Result:
    model = model_of(
        f"g (float[2,3,4,4] x) => (float[2,5,4,4] y) {{ h = Conv(x, w1) {text} }}",
        {
            "w1": (9, 3, 1, 1),
            "w2": (5, 9, 1, 1),
            "nothing": f32([0]),
            "far": f32([zero]),
            "one": f32([1]),
        },
    )
    result = op.prune(model, 0.3, round_to=1)
    assert result.is_pruned
    return result


def test_equal_feeds_prove_nothing() -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    feed = result.feeds()[0]
    assert result.verify([feed, feed], check=False).verdict == "cannot tell"
    assert result.verify([feed], check=False).verdict == "cannot tell"


def test_sums_that_are_only_rounding_prove_nothing_but_do_not_fail() -> None:
    """The mean of what was just centred is made of rounding errors; its value says nothing."""
    model = model_of(
        """g (float[2,5,6] x) => (float[2,5,4] y) {
            h = MatMul(x, w1)
            m = ReduceMean<axes=[2]>(h)
            c = Sub(h, m)
            again = ReduceMean<axes=[2]>(c)
            d = Sub(c, again)
            y = MatMul(d, w2)
        }""",
        {"w1": (6, 17), "w2": (17, 4)},
    )
    result = op.prune(model, 0.4, round_to=1)
    assert result.is_pruned
    verdict = result.verify()
    assert not next(d for d in verdict.deviations if d.name == "again").reacts


def test_what_cancels_by_the_weights_alone_is_only_rounding() -> None:
    """Equal channels, times weights that sum up to zero: other inputs round to the same."""
    model = model_of(
        """g (float16[2,3,4,4] x) => (float16[2,5,4,4] y, float16[2,4,4,4] h) {
            h = Conv(x, w1)
            m = ReduceMean<axes=[1]>(h)
            s = Shape(h)
            e = Expand(m, s)
            c = ReduceMean<axes=[1]>(w2)
            w = Sub(w2, c)
            y = Conv(e, w)
        }""",
        {
            name: np.random.default_rng(1).standard_normal(shape).astype(np.float16)
            for name, shape in (("w1", (4, 3, 1, 1)), ("w2", (5, 4, 1, 1)))
        },
    )
    result = op.prune(model, 0.35, round_to=1, allow_io=("h:1",))
    assert result.is_pruned
    assert result.verify(check=False).finding != "failed"


def deciding(centred: str) -> op.Model:
    """What a sum says decides between two branches."""
    return model_of(
        f"""g (float[2,6] x) => (float[2,4] y) {{
            h = MatMul(x, w1)
            m = ReduceMean<axes=[1]>(h)
            d = Sub(h, m)
            s = ReduceSum<keepdims=0>({centred})
            c = Greater(s, bound)
            r = If<then_branch = t () => (float[2,17] p) {{ p = Relu(h) }},
                   else_branch = e () => (float[2,17] q) {{ n = Neg(h)  q = Exp(n) }}>(c)
            y = MatMul(r, w2)
        }}""",
        {"w1": (6, 17), "w2": (17, 4), "bound": f32(0)},
    )


def test_where_rounding_takes_another_branch_nothing_is_told() -> None:
    result = op.prune(deciding("d"), 0.4, round_to=1)
    assert result.is_pruned
    flips = set[float]()
    for seed in range(8):
        feeds = [{"x": np.random.default_rng((seed, k)).standard_normal((2, 6)).astype("f4")}
                 for k in range(2)]  # fmt: skip
        verdict = result.verify(feeds, check=False)
        assert verdict.finding != "failed"
        flips |= {d.max_abs for d in verdict.deviations if d.name == "c"}
    assert len(flips) > 1, "rounding never took another branch"


def test_where_a_fault_takes_another_branch_it_is_found() -> None:
    result = op.prune(deciding("h"), 0.4, round_to=1)
    assert result.verify().passed
    replace(result.model, "bound", f32(1e9))
    verdict = result.verify(check=False)
    assert verdict.verdict == "failed"
    assert {d.name for d in verdict.deviations if d.elsewhere} == {"p", "q", "n"}


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_tolerance_follows_the_type(dtype: type[np.floating]) -> None:
    name = {np.float16: "float16", np.float64: "double"}[dtype]
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> npt.NDArray[np.floating]:
        return (rng.standard_normal(shape) * 0.4).astype(dtype)

    model = model_of(
        f"""g ({name}[2,6,3] x) => ({name}[2,6,4] y) {{
            m = MatMul(x, w1) a = Add(m, b1) r = Relu(a) y = MatMul(r, w2)
        }}""",
        {"w1": weight(3, 9), "b1": weight(9), "w2": weight(9, 4)},
    )
    result = op.prune(model, 0.3, round_to=1)
    assert result.is_pruned
    assert result.verify().passed
    # A deviation that float16 cannot tell from rounding is one for float64.
    kernel = result.model.constants["w2"].numpy()
    replace(result.model, "w2", (kernel * (1 + 1e-4)).astype(dtype))
    assert result.verify(check=False).passed == (dtype is np.float16)


def test_what_follows_an_overflow_is_not_judged() -> None:
    """Its neighbours are, and so is what it was computed from."""
    result = op.prune(branching(), 0.5)
    names = {"a": "before", "d": "overflows", "j": "behind", "q": "behind", "b": "beside"}
    deviations = excuse_overflow(
        [
            Deviation(name, 9.0, 9.0, True, role == "overflows", role == "overflows")
            for name, role in names.items()
        ],
        result.removals[0].analysis,
    )
    failed = {names[d.name] for d in deviations if not d.passed}
    assert failed == {"before", "beside"}
    assert not any(d.reacts for d in deviations if names[d.name] == "behind")
