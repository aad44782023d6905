"""A graph-level pruning compiler for ONNX: smaller and faster models, with proof.

    import onnxprune as op

    model = op.load("in.onnx")
    result = op.Pipeline("fold-constants,remove-channels{ratio=0.3},fold-empty").run(model)
    result.verify()
    result.model.save("out.onnx")
    result.plan.save("plan.json")

The names below are imported when they are first asked for, so `import onnxprune` costs nothing.
"""

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnxprune import passes
    from onnxprune.coupling.dependency import DependencyGraph
    from onnxprune.coupling.plan import Plan
    from onnxprune.data.dataset import Dataset, open_data
    from onnxprune.errors import OnnxPruneError
    from onnxprune.gate.judge import Judgement, judge
    from onnxprune.gate.policy import Policy
    from onnxprune.ir.load import load
    from onnxprune.ir.model import Model
    from onnxprune.pipelines.graph import dependency_graph
    from onnxprune.pipelines.pipeline import Pipeline
    from onnxprune.pipelines.presets import apply_plan, prune
    from onnxprune.pipelines.result import Result
    from onnxprune.pipelines.sensitivity import Sensitivity, sensitivity
    from onnxprune.pipelines.weights import import_weights

# Whoever wants the log adds a handler of his own; without any, Python would print warnings.
logging.getLogger(__name__).addHandler(logging.NullHandler())

__all__ = [
    "Dataset",
    "DependencyGraph",
    "Judgement",
    "Model",
    "OnnxPruneError",
    "Pipeline",
    "Plan",
    "Policy",
    "Result",
    "Sensitivity",
    "apply_plan",
    "dependency_graph",
    "import_weights",
    "judge",
    "load",
    "open_data",
    "passes",
    "prune",
    "sensitivity",
]

_HOMES = {
    "Dataset": "onnxprune.data.dataset",
    "DependencyGraph": "onnxprune.coupling.dependency",
    "Judgement": "onnxprune.gate.judge",
    "Model": "onnxprune.ir.model",
    "OnnxPruneError": "onnxprune.errors",
    "Pipeline": "onnxprune.pipelines.pipeline",
    "Plan": "onnxprune.coupling.plan",
    "Policy": "onnxprune.gate.policy",
    "Result": "onnxprune.pipelines.result",
    "Sensitivity": "onnxprune.pipelines.sensitivity",
    "apply_plan": "onnxprune.pipelines.presets",
    "dependency_graph": "onnxprune.pipelines.graph",
    "import_weights": "onnxprune.pipelines.weights",
    "judge": "onnxprune.gate.judge",
    "load": "onnxprune.ir.load",
    "open_data": "onnxprune.data.dataset",
    "prune": "onnxprune.pipelines.presets",
    "sensitivity": "onnxprune.pipelines.sensitivity",
}


def __getattr__(name: str) -> Any:
    if name == "passes":
        return import_module("onnxprune.passes")
    if name not in _HOMES:
        raise AttributeError(f"module 'onnxprune' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
