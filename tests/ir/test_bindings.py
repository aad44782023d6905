"""Sizes for dynamic input axes."""

from __future__ import annotations

import onnx
import pytest

from onnxprune.errors import UsageError
from onnxprune.ir.bindings import graph_inputs, has_dynamic_axes, input_shapes
from tests.texts import proto_of


def dynamic() -> onnx.ModelProto:
    return proto_of(
        "g (float[n,3,h,w] image, int64[n,t] ids, float[5] fixed) => (float[n] y) "
        "{ y = Identity(image) }",
        {},
    )


def test_equal_names_get_equal_sizes_and_others_differ() -> None:
    shapes = input_shapes(dynamic())
    (n, c, h, w), (m, t) = shapes["image"], shapes["ids"]
    assert (c, shapes["fixed"]) == (3, (5,))
    assert n == m
    assert len({n, h, w, t}) == 4


def test_the_second_binding_differs_in_every_dynamic_axis() -> None:
    first, second = (input_shapes(dynamic(), variant=variant) for variant in (0, 1))
    for name, shape in first.items():
        dynamic_axes = [a for a, (x, y) in enumerate(zip(shape, second[name], strict=True))
                        if x != y]  # fmt: skip
        assert dynamic_axes == {"image": [0, 2, 3], "ids": [0, 1], "fixed": []}[name]


def test_an_axis_may_have_no_indices() -> None:
    """ONNX Runtime takes no other size for it."""
    proto = proto_of("g (float[0,n] x) => (float[m,n] y) { y = Identity(x) }", {})
    assert [input_shapes(proto, variant=variant)["x"][0] for variant in (0, 1)] == [0, 0]
    with pytest.raises(UsageError, match="declared as"):
        input_shapes(proto, {"x": (2, 3)})


def test_given_shapes_bind_names() -> None:
    shapes = input_shapes(dynamic(), {"image": (4, 3, 64, 96)})
    assert shapes["image"] == (4, 3, 64, 96)
    assert shapes["ids"][0] == 4


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"picture": (1,)}, "no input 'picture'"),
        ({"image": (1, 3, 8)}, "declared as"),
        ({"image": (1, 4, 8, 8)}, "declared as"),
        ({"fixed": (6,)}, "declared as"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    fixed: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        input_shapes(dynamic(), fixed)
    assert raised.value.exit_code == 2


def test_initializers_among_the_inputs_are_not_fed() -> None:
    proto = proto_of(
        "g (float[2,3] x, float[3,4] w) => (float[2,4] y) { y = MatMul(x, w) }", {"w": (3, 4)}
    )
    assert [info.name for info in graph_inputs(proto)] == ["x"]
    assert list(input_shapes(proto)) == ["x"]
    assert not has_dynamic_axes(proto)
    assert has_dynamic_axes(dynamic())
