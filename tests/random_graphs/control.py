"""Control flow: branches, and blocks that are repeated with the same weights."""

from __future__ import annotations

from onnx import TensorProto, helper

from tests.random_graphs.builder import Network, Size, Tensor
from tests.random_graphs.elementwise import binary
from tests.random_graphs.layers import linear, mix
from tests.random_graphs.shaping import reduce_, unsqueeze


def either(net: Network, x: Tensor) -> Tensor:
    """One of two blocks, as an input or the data say; a branch may do nothing."""
    out = x.channels if net.flag() else net.width()
    asked = condition(net, x)
    first, second = net.same_names(
        lambda: net.body("then", [], lambda: [_branch(net, x, out)]),
        lambda: net.body("else", [], lambda: [_branch(net, x, out)]),
    )
    branches = {"then_branch": first[0], "else_branch": second[0]}
    return net.op("If", x.sized(x.axis, out), asked, **branches).at(x.axis)


def _branch(net: Network, x: Tensor, out: int) -> Tensor:
    y = net.grow(x)
    y = y if y.axis == x.axis and y.sized(y.axis, 1) == x.sized(x.axis, 1) else x
    if y.channels != out:
        return mix(net, y, out)
    return net.op("Identity", y.shape, y) if y.name == x.name else y


def condition(net: Network, x: Tensor) -> Tensor:
    """A truth value: an input, or whether the sum of all numbers is positive."""
    if net.flag():
        return net.input(kind=TensorProto.BOOL)
    total = reduce_(net, "ReduceSum", x, range(x.rank), keep=False)
    wide = net.op("Cast", (), total, to=TensorProto.FLOAT)
    return net.op("Greater", (), wide, net.plain_scalar(0.0))


def looped(net: Network, x: Tensor) -> Tensor:
    """A block some times over; what it makes on the way counts, too."""
    trips = net.number(1, 3)
    state = net.state(x.shape, x.axis)
    kinds = {"i": TensorProto.INT64, "on": TensorProto.BOOL}
    borders = [
        helper.make_tensor_value_info(f"{name}_{state.name}", kind, [])
        for name, kind in kinds.items()
    ]

    def step() -> list[Tensor]:
        going = net.op("Identity", (), Tensor(borders[1].name, ()))
        y = _branch(net, state, x.channels)
        y = net.op("Tanh", y.shape, y)
        return [going, y, net.op("Neg", y.shape, y)]

    body, _ = net.body("loop", [*borders, net.inner(state)], step)
    shapes = [x.shape, (trips, *x.shape)]
    last, steps = net.ops("Loop", shapes, net.index(trips), "", x, body=body)
    last = last.at(x.axis)
    if net.flag():
        return last
    total = reduce_(net, "ReduceMean", steps.at(x.axis + 1), [0], keep=False)
    return binary(net, "Add", last, total.at(x.axis))


def scanned(net: Network, x: Tensor) -> Tensor:
    """A plain recurrent cell over the tokens, or over the first axis of places."""
    if x.rank != 3 or not net.has("Scan") or net.opset < 9:
        return x
    hidden, along = net.width(), 3 - x.axis
    n, c = x.shape[0], x.channels
    start = linear(net, reduce_(net, "ReduceMean", x, [along], keep=False).at(1), hidden)
    state, part = net.state((n, hidden)), net.state((n, c))

    def step() -> list[Tensor]:
        y = binary(net, "Add", linear(net, part, hidden), linear(net, state, hidden))
        y = net.op("Tanh", y.shape, y)
        return [y, net.op("Identity", y.shape, y)]

    body, _ = net.body("scan", [net.inner(state), net.inner(part)], step)
    shapes = [start.shape, x.sized(x.axis, hidden)]
    axes = {"scan_input_axes": [along], "scan_output_axes": [along]}
    last, states = net.ops("Scan", shapes, start, x, body=body, num_scan_inputs=1, **axes)
    if isinstance(hidden, Size) or net.flag():
        return states.at(x.axis)
    return binary(net, "Add", states.at(x.axis), unsqueeze(net, last, along).at(x.axis))


BLOCKS = (either, looped, scanned)
