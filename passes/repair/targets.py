"""What can be fitted: layers with constant weights that see something of a removal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from onnxprune.axes import Keeps, is_touched
from onnxprune.coupling.placed import Placed
from onnxprune.ops.affine import Linear, Scaling, linear_form, scaling_form
from onnxprune.ops.site import Value
from onnxprune.passes.repair.numbers import Numbers
from onnxprune.passes.work import Removal

_SUMMED = frozenset(("contracted", "reduced", "handed"))
"""What operators do with dims of which every index counts for the whole result."""


@dataclass(frozen=True, slots=True, eq=False)
class Use:
    """A node that a layer's weights are read by.

    Attributes:
        form: what it computes.
        x: what it reads.
        y: its result.
        bias: name of its bias, or of its view of one that nodes share; "" if it has none.
    """

    form: Linear | Scaling
    x: str
    y: Value
    bias: str

    @property
    def read(self) -> str:
        """What its result is fitted by: what it reads, or what it gives now."""
        return self.x if isinstance(self.form, Linear) else self.y.name


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A layer to be fitted.

    Attributes:
        uses: the nodes that read its weights; several where weights are shared.
        weight: name of the weight, or of the scale; "" if there is none.
        statistics: names of the running mean and variance, where there are any.
        depth: number of targets on the longest way to it.
        shifted: whether all that reads the result can shift its channels itself.
    """

    uses: tuple[Use, ...]
    weight: str
    depth: int
    statistics: tuple[str, ...] = ()
    shifted: bool = False

    @property
    def form(self) -> Linear | Scaling:
        """What its nodes compute; of shared weights they do the same with all."""
        return self.uses[0].form

    @property
    def bias(self) -> str:
        """Name of the bias; "" if there is none. Views of it are as the first one."""
        return self.uses[0].bias


def find_targets(
    removals: Sequence[Removal], pruned: Numbers, *, everything: bool = False
) -> list[Target]:
    """The layers to be fitted after removals, in graph order.

    Left out are those in bodies of control flow, weights that nodes read in different ways, and
    what gives for the indices that stay just what it gave before.

    Args:
        removals: all that was removed from the original so far.
        pruned: the weights as they are now.
        everything: whether that is no matter, since other weights change as well.
    """
    analysis, keeps = removals[-1].analysis, removals[-1].keeps
    known = set(removals[0].analysis.values).intersection(*(r.analysis.values for r in removals))
    count = Counter(name for p in analysis.placed for name in p.node.inputs if name)
    made = known & {name for node in pruned.model.proto.graph.node for name in node.output}
    differing = made if everything else set[str]().union(*map(_differing, removals))
    depths: dict[str, int] = {}
    sources = analysis.canonical.provenance
    layers: dict[tuple[str, ...], list[Target]] = {}
    for placed in analysis.placed:
        node = placed.node
        reads = [name for name in (*node.inputs, *node.captures) if name]
        depth = max((depths.get(name, 0) for name in reads), default=0)
        target = None if node.within else _target(placed, keeps, pruned, depth)
        if target is not None:
            bias = target.bias
            shared = sources.get(bias, bias) if isinstance(target.form, Linear) else bias
            layers.setdefault((target.weight, shared, *target.statistics), []).append(target)
            depth += not differing.isdisjoint(node.outputs)
        results = [*node.outputs, *(name for body in node.bodies for name in body.inputs)]
        depths.update(dict.fromkeys(results, depth))
    found = [
        target
        for target in map(_together, layers.values())
        if all(len(target.uses) == read for read in _counts(target, count))
        and made.issuperset(use.y.name for use in target.uses)
        and not differing.isdisjoint(use.y.name for use in target.uses)
        and _are_alike(target, pruned)
    ]
    count.update(info.name for info in analysis.canonical.model.proto.graph.output)
    scalings = [target for target in found if isinstance(target.form, Scaling) and target.bias]
    shifting = {use.x for target in scalings for use in target.uses}
    return [
        replace(t, shifted=all(u.y.name in shifting and count[u.y.name] == 1 for u in t.uses))
        for t in found
    ]


def _together(targets: Sequence[Target]) -> Target:
    """Layers that share all their weights, as one; it is fitted when all are reached."""
    uses = tuple(use for target in targets for use in target.uses)
    return replace(targets[0], uses=uses, depth=max(target.depth for target in targets))


def _counts(target: Target, count: Mapping[str, int]) -> Iterator[int]:
    """How many nodes read each constant of a layer, all views of its bias together."""
    yield from (count[name] for name in (target.weight, *target.statistics) if name)
    if target.bias:
        yield sum(count[name] for name in {use.bias for use in target.uses})


def _are_alike(target: Target, pruned: Numbers) -> bool:
    """Whether all nodes that share a layer's weights do the same with them."""
    forms = [use.form for use in target.uses]
    linear = [form for form in forms if isinstance(form, Linear)]
    if len(forms) == 1 or not linear:
        return True
    return len(linear) == len(forms) and are_alike(linear, pruned.shape(target.weight))


def are_alike(forms: Sequence[Linear], shape: tuple[int, ...]) -> bool:
    """Whether all these make the same matrix of a weight.

    Args:
        forms: what its readers compute.
        shape: of the weight.
    """
    first, *others = forms
    numbered = np.arange(prod(shape)).reshape(shape)
    return all(
        form.bias_scale == first.bias_scale
        and np.array_equal(form.matrix(numbered), first.matrix(numbered))
        for form in others
    )


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


def _target(placed: Placed, keeps: Keeps, pruned: Numbers, depth: int) -> Target | None:
    """A node as a target, if it has weights that the pruned model has."""
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
    if any(name and name not in pruned for name in (weight, bias, *statistics)):
        return None
    x = next(name for name in node.inputs if name not in (weight, bias))
    return Target((Use(form, x, site.y(), bias),), weight, depth, statistics)
