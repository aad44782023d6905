"""Values inside bodies, brought to the surface: a model that exists only to be looked at.

A value of a branch becomes one more result of its If, which is empty where the other branch runs. A
value of a loop's body becomes a result with a first axis more, one index for each iteration. A
branch inside a loop runs now and then, so that nothing can be stacked: its values stay inside. But
whether a body ran can be told of each: its *mark* is true where it did.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import onnx

from onnxprune.ir.graph import body_name, named_subgraphs, rename

ABSENT = (0,)
"""The shape of what stands for a value of a branch that did not run."""

_LOOPS = frozenset(("Loop", "Scan"))
_BRANCHES_DIFFER_SINCE = 11
"""First opset in which the branches of an If may have results of different shapes."""


def mark_of(body: str) -> str:
    """The name of the truth value that tells whether a body ran.

    Args:
        body: its name (`graph.body_name`).
    """
    return f"{body}::ran"


def exposable(proto: onnx.ModelProto) -> dict[str, int]:
    """The values and marks that can be brought out, with the number of axes that this adds.

    Before opset 11 the results of both branches have one shape: only marks come out of them.
    """
    version = max((o.version for o in proto.opset_import if not o.domain), default=1)
    return dict(_reachable(proto.graph, 0, True, version >= _BRANCHES_DIFFER_SINCE))


def _reachable(
    part: onnx.GraphProto, loops: int, steady: bool, differ: bool
) -> Iterator[tuple[str, int]]:
    for node in part.node:
        inside = loops + (node.op_type in _LOOPS)
        for attribute, body in _bodies(node):
            yield mark_of(body_name(node, attribute)), inside
            shown = steady and not (node.op_type == "If" and (loops > 0 or not differ))
            for made in body.node if shown else ():
                yield from ((name, inside) for name in made.output if name)
            yield from _reachable(body, inside, shown, differ)


def _bodies(node: onnx.NodeProto) -> list[tuple[str, onnx.GraphProto]]:
    known = not node.domain and (node.op_type in _LOOPS or node.op_type == "If")
    return list(named_subgraphs(node)) if known else []


def expose(graph: onnx.GraphProto, names: Collection[str], elem_types: Mapping[str, int]) -> None:
    """Bring values and marks of bodies out to the main graph, under their names. In place.

    Args:
        graph: the main graph, with separate names.
        names: some of those that `exposable` lists.
        elem_types: element type by value name; marks need none.
    """
    inside = {f"{name}::inside": name for name in names}
    rename(graph, {name: inner for inner, name in inside.items()})
    _Exposer(inside, elem_types).bring_out(graph, 0)


class _Exposer:
    def __init__(self, inside: Mapping[str, str], elem_types: Mapping[str, int]) -> None:
        self._inside = inside
        self._wanted = frozenset(inside.values())
        self._elem_types = elem_types
        self._count = 0

    def bring_out(self, part: onnx.GraphProto, depth: int) -> dict[str, tuple[str, int]]:
        """Bring what is wanted of the bodies in a graph out to it.

        Returns:
            Their names there, with the number of loops that they came out of.
        """
        out: dict[str, tuple[str, int]] = {}
        for node in part.node:
            bodies = _bodies(node)
            for attribute, body in bodies:
                found = self._found_in(body, self._mark(node, attribute))
                found |= self.bring_out(body, depth + 1)
                others = [other for name, other in bodies if name != attribute]
                for name, (inner, loops) in found.items():
                    outer = self._fresh(name) if depth else name
                    self._hand_out(node, body, name, inner)
                    for other in others:
                        made = self._constant(other, name, ran=False, rank=loops)
                        self._add_result(other, name, made)
                    node.output.append(outer)
                    out[name] = outer, loops + (node.op_type in _LOOPS)
        return out

    def _mark(self, node: onnx.NodeProto, attribute: str) -> str:
        name = body_name(node, attribute).removesuffix(f".{attribute}")
        return mark_of(f"{self._inside.get(name, name)}.{attribute}")

    def _found_in(self, body: onnx.GraphProto, mark: str) -> dict[str, tuple[str, int]]:
        names = (name for made in body.node for name in made.output)
        found = {self._inside[name]: (name, 0) for name in names if name in self._inside}
        if mark in self._wanted:
            found[mark] = self._constant(body, mark, ran=True), 0
        return found

    def _hand_out(self, node: onnx.NodeProto, body: onnx.GraphProto, name: str, inner: str) -> None:
        """Add a result to a body, and make room for it among those of its node."""
        made = self._fresh(name)
        body.node.append(onnx.helper.make_node("Identity", [inner], [made]))
        self._add_result(body, name, made)
        unseen = 2 if node.op_type == "Loop" else 1  # the condition, and what was just added
        while len(node.output) < len(body.output) - unseen:
            node.output.append(self._fresh(name))
        for attribute in node.attribute:
            if attribute.name in ("scan_output_axes", "scan_output_directions"):
                attribute.ints.append(0)

    def _constant(self, body: onnx.GraphProto, name: str, ran: bool, rank: int = 0) -> str:
        """Add what a mark says, or what stands for a value that is not computed."""
        made = self._fresh(name)
        if name in self._elem_types:
            tensor = onnx.helper.make_tensor(made, self._elem_types[name], ABSENT, [])
        else:
            tensor = onnx.helper.make_tensor(made, onnx.TensorProto.BOOL, [1] * rank, [ran])
        body.node.append(onnx.helper.make_node("Constant", [], [made], value=tensor))
        return made

    def _add_result(self, body: onnx.GraphProto, name: str, made: str) -> None:
        elem_type = self._elem_types.get(name, onnx.TensorProto.BOOL)
        body.output.append(onnx.helper.make_tensor_value_info(made, elem_type, None))

    def _fresh(self, name: str) -> str:
        self._count += 1
        return f"{name}::outside::{self._count}"
