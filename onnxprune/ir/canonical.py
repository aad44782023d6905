"""The canonical form: the model as the analysis wants to see it.

Local functions are inlined, and branches whose condition never changes; `Constant` nodes and
initializers of bodies become initializers; what follows from shapes and small constants alone is
folded wherever it is static, so that the algebra sees sizes where the exporter wrote shape
arithmetic; `Squeeze` says its axes; nodes that nothing needs are gone; and constants that the
exporter merged because they happened to be equal get one view for each use.

Nothing in it depends on the values of weights, and every constant knows the original that it
comes from. The canonical form computes what the original computes.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import perf_counter

import onnx
import onnx.inliner

from onnxprune.errors import ModelError
from onnxprune.ir import bindings
from onnxprune.ir.bodies import has_bodies, inline_branches
from onnxprune.ir.conditions import decided, misfits, static_values, uncertain
from onnxprune.ir.editor import Editor
from onnxprune.ir.folding import Folding
from onnxprune.ir.graph import all_nodes
from onnxprune.ir.guards import guard_shapes, moving_sizes
from onnxprune.ir.measure import tell_node, told_types
from onnxprune.ir.model import Model
from onnxprune.ir.readings import Axis
from onnxprune.ir.shapes import Facts, Shape, interpret
from onnxprune.ir.sizes import runnable_bindings, usual_bindings

_LOG = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Canonical:
    """A model in canonical form, with what is known of it.

    Attributes:
        model: the model.
        facts: shapes and values under the first binding.
        inputs: the first binding: shapes of the inputs.
        varied: the second one, which differs in the axes that are dynamic.
        provenance: original constant by canonical initializer; what folding made has none.
        blind: values whose shape nothing tells.
        partial: for a target shape of which some sizes are computed at run time, the constant that
            holds the others (`targets.COMPUTED` stands for these).
        listed: for such a target, the axes (value, axis) whose sizes its computed elements are.
        sizes: the values that were added to compute such targets.
        second: shapes and values under another binding of the dynamic axes, if there are any.
        given: inputs whose shapes the user gave.
        read: axes whose size is a number to the model and depends on the inputs, by result of
            Shape.
    """

    model: Model
    facts: Facts
    inputs: dict[str, Shape]
    varied: dict[str, Shape] = field(default_factory=dict[str, Shape])
    provenance: dict[str, str] = field(default_factory=dict[str, str])
    blind: frozenset[str] = frozenset()
    partial: dict[str, str] = field(default_factory=dict[str, str])
    listed: dict[str, dict[int, Axis]] = field(default_factory=dict[str, dict[int, Axis]])
    sizes: frozenset[str] = frozenset()
    second: Facts | None = None
    given: frozenset[str] = frozenset()
    read: dict[str, list[int]] = field(default_factory=dict[str, list[int]])

    def at(self, shapes: Mapping[str, Shape]) -> Canonical:
        """The same model with what is known of it at other shapes of its inputs."""
        inputs = {**self.inputs, **shapes}
        facts, blind = _all_facts(self.model, inputs)
        return replace(self, facts=facts, inputs=inputs, varied=inputs, blind=blind, second=None)


def canonicalise(original: Model, fixed: Mapping[str, Shape] | None = None) -> Canonical:
    """Bring a model into canonical form.

    Args:
        original: the model; it is left as it is.
        fixed: shapes of inputs that the user gave, by name. Conditions on their sizes are decided
            for them; other than that the result takes all sizes that the original takes.

    Raises:
        ModelError: local functions cannot be inlined.
        UsageError: `fixed` does not fit the model.
    """
    start = perf_counter()
    model = original.copy()
    if model.proto.functions:
        model.proto = _inlined(model.proto)
    editor = Editor(model)
    editor.open_bodies()
    editor.lift_sparse()
    editor.lift_constants()
    editor.skip_identities()
    inputs, second, facts = _two_bindings(original, model, fixed)
    if has_bodies(editor.graph):
        inline_branches(editor.graph, _conditions(model, inputs, second, facts, fixed))
    second, others = _second_binding(model, inputs, second, facts, fixed)
    static = static_values(facts, others) - uncertain(editor.graph, facts, others)
    folding = Folding(editor, facts, others)
    folding.fold(static)
    folding.state_targets()
    guard_shapes(editor, facts, others)
    folding.name_views()
    folding.state_implicit()
    folding.make_scalars()
    editor.drop_dead()
    editor.split_shared()
    editor.free_names()
    editor.finish()
    facts, blind = _all_facts(model, inputs)
    result = Canonical(model, facts, inputs, second, editor.provenance, blind, folding.partial)
    result.listed, result.sizes = folding.listed, frozenset(folding.sizes)
    result.given = frozenset(fixed or ())
    if second != inputs or facts.guessed:
        result.second, _ = _all_facts(model, second, variant=1)
        result.read = moving_sizes(editor, facts, result.second, folding.sizes)
    _LOG.debug(
        "canonical form: %d nodes of %d, %d values without a shape, %.2f s",
        *(len(model.proto.graph.node), len(original.proto.graph.node)),
        *(len(blind), perf_counter() - start),
    )
    return result


def _two_bindings(
    original: Model, model: Model, fixed: Mapping[str, Shape] | None
) -> tuple[dict[str, Shape], dict[str, Shape], Facts]:
    """Two bindings of the dynamic sizes: the usual ones, unless inference stumbles over them.

    Then the model is run, and if it does not run at the usual sizes, others are tried.

    Returns:
        Both, and the facts under the first.
    """
    first, second = usual_bindings(original, fixed)
    facts = _sure_facts(model, first)
    if fixed or first == second or not _without_shape(model, facts):
        return first, second, facts
    found = runnable_bindings(original)
    return (first, second, facts) if found is None else (*found, _sure_facts(model, found[0]))


def _conditions(
    model: Model,
    inputs: Mapping[str, Shape],
    second: Mapping[str, Shape],
    facts: Facts,
    fixed: Mapping[str, Shape] | None,
) -> dict[str, bool]:
    """The conditions that hold at any size of the inputs, or at the sizes that the user gave.

    The latter only where these sizes make sense: a branch that needs others is left as it is.
    """
    graph = model.proto.graph
    known: dict[str, bool] = {}
    for given in (None, fixed) if fixed else (None,):
        varied = bindings.input_shapes(model.proto, given, 1, fixed) if given else second
        others = _facts_at(model, varied, inputs, facts)
        static = static_values(facts, others) - uncertain(graph, facts, others)
        known |= decided(graph, facts, static, misfits(graph, facts) if given else ())
    return known


def _second_binding(
    model: Model,
    inputs: Mapping[str, Shape],
    second: dict[str, Shape],
    facts: Facts,
    fixed: Mapping[str, Shape] | None,
) -> tuple[dict[str, Shape], Facts]:
    """Another binding of all dynamic sizes; where the model does not take it, as the user says."""
    others = _facts_at(model, second, inputs, facts)
    if not fixed or others.shapes.keys() >= facts.shapes.keys():
        return second, others
    second = bindings.input_shapes(model.proto, fixed, 1)
    others = _facts_at(model, second, inputs, facts)
    return second, others.without(misfits(model.proto.graph, facts))


def _facts_at(
    model: Model, second: Mapping[str, Shape], inputs: Mapping[str, Shape], facts: Facts
) -> Facts:
    """The facts under a second binding: those of the first where no size is dynamic."""
    if second == inputs and not facts.guessed:
        return facts
    return _sure_facts(model, second, variant=1)


def _sure_facts(model: Model, inputs: Mapping[str, Shape], variant: int = 0) -> Facts:
    """Facts under one binding that hold whatever the data: folding may rest on them.

    A shape that a run shows may be that of its data.
    """
    return interpret(model.proto, inputs, trips=bindings.TRIPS[variant], teller=tell_node)


def _all_facts(
    model: Model, inputs: Mapping[str, Shape], variant: int = 0
) -> tuple[Facts, frozenset[str]]:
    """Facts under one binding, by inference and where that stops by ONNX Runtime; what is left.

    What the file says of operators that onnx does not know may be stale, so that it comes last.
    """
    trips = bindings.TRIPS[variant]
    facts = _sure_facts(model, inputs, variant)
    blind = _without_shape(model, facts)
    seen = blind & {name for node in model.proto.graph.node for name in node.output}
    if seen:
        told = told_types(model, inputs, seen)
        facts = interpret(model.proto, inputs, told, trips, tell_node)
        blind = _without_shape(model, facts)
    return facts, blind


def _without_shape(model: Model, facts: Facts) -> frozenset[str]:
    made = (name for node, _ in all_nodes(model.proto.graph) for name in node.output if name)
    return frozenset(name for name in made if name not in facts.shapes)


def _inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.inliner.inline_local_functions(proto)
    except RuntimeError as error:
        raise ModelError(
            "the model's local functions cannot be inlined", why=str(error).splitlines()[0]
        ) from error
