"""What can be fitted: layers with constant weights that see something of a removal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from onnxprune.axes import Keeps, is_touched
from onnxprune.coupling.placed import Placed
from onnxprune.ir.model import Model
from onnxprune.ops.affine import Linear, Scaling, linear_form, scaling_form
from onnxprune.ops.site import Value
from onnxprune.passes.work import Removal

_SUMMED = frozenset(("contracted", "reduced", "handed"))
"""What operators do with dims of which every index counts for the whole result."""


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A layer to be fitted.

    Attributes:
        form: what it computes.
        x: what it reads.
        y: its result.
        weight: name of the weight, or of the scale; "" if there is none.
        bias: name of the bias; "" if there is none.
        statistics: names of the running mean and variance, where there are any.
        depth: number of targets on the longest way to it.
        shifted: whether all that reads the result can shift its channels itself.
    """

    form: Linear | Scaling
    x: str
    y: Value
    weight: str
    bias: str
    depth: int
    statistics: tuple[str, ...] = ()
    shifted: bool = False


def find_targets(removals: Sequence[Removal], pruned: Model) -> list[Target]:
    """The layers to be fitted after removals, in graph order.

    Left out are those in bodies of control flow, weights that several nodes read, and what gives
    for the indices that stay just what it gave before.

    Args:
        removals: all that was removed from the original so far.
        pruned: the model as it is now.
    """
    analysis, keeps = removals[-1].analysis, removals[-1].keeps
    known = set(removals[0].analysis.values).intersection(*(r.analysis.values for r in removals))
    count = Counter(name for p in analysis.placed for name in p.node.inputs if name)
    single = {name for name in pruned.constants if count[name] == 1}
    made = known & {name for node in pruned.proto.graph.node for name in node.output}
    differing = set[str]().union(*(_differing(removal) for removal in removals))
    depths: dict[str, int] = {}
    found: list[Target] = []
    for placed in analysis.placed:
        node = placed.node
        if differing.isdisjoint(node.outputs):
            continue
        reads = [name for name in (*node.inputs, *node.captures) if name]
        depth = max((depths.get(name, 0) for name in reads), default=0)
        target = None if node.within else _target(placed, keeps, single, depth)
        if target is not None and target.y.name in made:
            found.append(target)
            depth += 1
        results = [*node.outputs, *(name for body in node.bodies for name in body.inputs)]
        depths.update(dict.fromkeys(results, depth))
    count.update(info.name for info in analysis.canonical.model.proto.graph.output)
    shifting = {t.x for t in found if isinstance(t.form, Scaling) and t.bias}
    return [replace(t, shifted=t.y.name in shifting and count[t.y.name] == 1) for t in found]


def _differing(removal: Removal) -> set[str]:
    """The values of which what stays is not what it was: sums lack what was removed."""
    found: set[str] = set()
    for placed in removal.analysis.placed:
        node = placed.node
        made = {name for body in node.bodies for name in body.outputs}
        if not found.isdisjoint([*node.inputs, *node.captures, *made]) or any(
            role.name in _SUMMED and is_touched(role.dim, removal.keeps)
            for role in placed.site.roles
        ):
            found.update(node.outputs, *(body.inputs for body in node.bodies))
    return found


def _target(placed: Placed, keeps: Keeps, single: set[str], depth: int) -> Target | None:
    """A node as a target, if it is one with weights of its own."""
    site, node = placed.site, placed.node
    if any(value is None for value in (*site.inputs[:1], *site.outputs[:1])) or not site.outputs:
        return None
    linear = linear_form(site, keeps)
    form = linear or scaling_form(site)
    if form is None:
        return None
    place = form.weight if isinstance(form, Linear) else form.scale
    weight = node.inputs[place] if place is not None else ""
    has_bias = form.bias is not None and site.has(form.bias)
    bias = node.inputs[form.bias] if form.bias is not None and has_bias else ""
    places = form.statistics if isinstance(form, Scaling) else None
    statistics = tuple(node.inputs[place] for place in places or ())
    if any(name and name not in single for name in (weight, bias, *statistics)):
        return None
    x = next(name for name in node.inputs if name not in (weight, bias))
    return Target(form, x, site.y(), weight, bias, depth, statistics)
