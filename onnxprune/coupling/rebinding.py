"""The same removal, seen at other sizes of the dynamic inputs.

Axes that mix a dynamic size with a channel, such as ``(batch channels)``, have other masks at other
sizes. The model is analysed again at these, and what is kept is carried over by way of the weights,
whose sizes never change.
"""

from __future__ import annotations

from collections.abc import Mapping

from onnxprune.axes import Dim, Keep, Keeps
from onnxprune.coupling.analysis import Analysis, analyse
from onnxprune.coupling.groups import find_groups
from onnxprune.coupling.plan import Plan, axis_plans
from onnxprune.coupling.plan_reading import keeps_from_plan
from onnxprune.coupling.ports import as_entries


def rebound(
    analysis: Analysis, keeps: Keeps, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[Analysis, dict[Dim, Keep]]:
    """An analysis at the given input shapes, and the same removal in its dims.

    Args:
        analysis: of a model.
        keeps: keep masks by leaf of that analysis.
        shapes: of the model's inputs, by name.

    Raises:
        PlanError: at these sizes the couplings are others.
    """
    if all(analysis.canonical.inputs.get(name) == shape for name, shape in shapes.items()):
        return analysis, dict(keeps)
    other = analyse(analysis.canonical.at(shapes), allow_io=as_entries(analysis.opened))
    weights = {name: axis_plans(analysis.values[name], keeps) for name in analysis.weights}
    plan = Plan("", {name: axes for name, axes in weights.items() if axes})
    return other, keeps_from_plan(plan, other, find_groups(other))
