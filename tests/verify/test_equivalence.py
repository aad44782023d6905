"""Seeded faults: what the compiler could get wrong does not pass for equivalent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

import onnxprune as op
from onnxprune.errors import CannotTellError, EquivalenceError
from onnxprune.pipelines.result import Result
from onnxprune.verify.deviation import Deviation
from onnxprune.verify.equivalence import check_outputs
from onnxprune.verify.rounding import excuse_overflow
from tests.texts import Weight, f32, model_of, node_of, replace

DEPTH = 24


def branching(*, split: bool = False) -> op.Model:
    parts = "p, q = Split<axis=1>(z, parts)" if split else "p = Relu(z)  q = Sigmoid(z)"
    weights: dict[str, Weight] = {
        "w1": (8, 3, 3, 3),
        "b1": (8,),
        "w2": (8, 3, 3, 3),
        "w3": (12, 16, 1, 1),
        "w4": (4, 12 if split else 24, 1, 1),
        "dw": (16, 1, 3, 3),
    }
    if split:
        weights["parts"] = np.array([5, 7])
    return model_of(
        f"""g (float[2,3,6,6] x) => (float[2,4,6,6] y) {{
            a = Conv<pads=[1,1,1,1]>(x, w1, b1)
            b = Conv<pads=[1,1,1,1]>(x, w2)
            c = Concat<axis=1>(a, b)
            d = Conv<group=16, pads=[1,1,1,1]>(c, dw)
            z = Conv(d, w3)
            {parts}
            j = Concat<axis=1>(p, q)
            y = Conv(j, w4)
        }}""",
        weights,
    )


def deep() -> op.Model:
    """A deep branch that forgets beside a shallow one that does not."""
    layers = "".join(
        f"h{i + 1} = Conv(r{i}, w{i + 1}) r{i + 1} = LeakyRelu(h{i + 1})" for i in range(DEPTH)
    )
    weights: dict[str, Weight] = {f"w{i + 1}": (12, 12, 1, 1) for i in range(DEPTH)}
    rng = np.random.default_rng(1)
    small = {
        name: (rng.standard_normal((12, 12, 1, 1)) * 0.1).astype(np.float32) for name in weights
    }
    return model_of(
        f"""g (float[2,3,5,5] x) => (float[2,12,5,5] y) {{
            r0 = Conv(x, first)
            s = Conv(x, shallow)
            {layers}
            y = Add(r{DEPTH}, s)
        }}""",
        {"first": (12, 3, 1, 1), "shallow": (12, 3, 1, 1), **small},
    )


def fails(result: Result) -> str:
    """Check that verification refuses a result, and say what it found first."""
    verdict = result.verify(check=False)
    assert verdict.verdict == "failed"
    with pytest.raises(EquivalenceError) as raised:
        result.verify()
    assert raised.value.exit_code == 5
    assert "nothing was written" in raised.value.hint
    return verdict.worst


def reverse_concat(model: op.Model) -> None:
    node = node_of(model, "c")
    node.input[:] = list(node.input)[::-1]


def slice_bias_wrongly(model: op.Model) -> None:
    replace(model, "b1", np.roll(model.constants["b1"].numpy(), 1))


def rotate_depthwise(model: op.Model) -> None:
    replace(model, "dw", np.roll(model.constants["dw"].numpy(), 1, axis=0))


def set_wrong_group(model: op.Model) -> None:
    node = node_of(model, "d")
    next(a for a in node.attribute if a.name == "group").i = 2


def scale_a_kernel(model: op.Model) -> None:
    replace(model, "w3", model.constants["w3"].numpy() * np.float32(1.01))


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        (reverse_concat, "c"),
        (slice_bias_wrongly, "a"),
        (rotate_depthwise, "d"),
        (set_wrong_group, ""),
        (scale_a_kernel, "z"),
    ],
)
def test_faults_fail_where_they_are(fault: Callable[[op.Model], None], first: str) -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    assert result.is_pruned
    assert result.verify().passed
    fault(result.model)
    assert fails(result) == first


def test_wrong_split_sizes_fail() -> None:
    result = op.prune(branching(split=True), 0.3, round_to=1)
    assert result.verify().passed
    sizes = result.model.constants["parts"].numpy()
    replace(result.model, "parts", sizes + np.array([1, -1]))
    assert fails(result) == "p"


def test_model_that_does_not_run_any_more_fails() -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    replace(result.model, "w4", result.model.constants["w4"].numpy()[:, 1:])
    fails(result)
    assert result.equivalence is not None
    assert "only the masked reference runs" in result.equivalence.why


@pytest.mark.parametrize("layer", [2, DEPTH // 2, DEPTH - 2])
def test_rotated_channels_deep_inside_fail_though_outputs_agree(layer: int) -> None:
    result = op.prune(deep(), 0.25, round_to=1)
    assert result.verify().passed
    healthy = result.model.copy()
    kernel = result.model.constants[f"w{layer}"].numpy()
    replace(result.model, f"w{layer}", np.roll(kernel, 1, axis=1))
    outputs = check_outputs(healthy, result.model, result.feeds())
    assert outputs.passed
    assert outputs.max_abs < 1e-6
    assert fails(result) == f"h{layer}"


@pytest.mark.parametrize("swap", [(0, 1), (3, 7)])
def test_swapped_channels_of_one_kernel_fail(swap: tuple[int, int]) -> None:
    result = op.prune(branching(), 0.3, round_to=1)
    kernel = result.model.constants["w3"].numpy().copy()
    kernel[:, swap] = kernel[:, swap[::-1]]
    replace(result.model, "w3", kernel)
    assert fails(result) == "z"


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
