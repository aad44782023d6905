"""A graph-level pruning compiler for ONNX: smaller and faster models, with proof.

import onnxprune as op

model = op.load("in.onnx")
result = op.Pipeline("fold-constants,remove-channels{ratio=0.3},fold-empty").run(model)
result.verify()
result.model.save("out.onnx")
result.plan.save("plan.json")
"""

from onnxprune import passes
from onnxprune.coupling.plan import Plan
from onnxprune.errors import OnnxPruneError
from onnxprune.ir.load import load
from onnxprune.ir.model import Model
from onnxprune.pipelines.pipeline import Pipeline, Result
from onnxprune.pipelines.presets import apply_plan, prune

__all__ = [
    "Model",
    "OnnxPruneError",
    "Pipeline",
    "Plan",
    "Result",
    "apply_plan",
    "load",
    "passes",
    "prune",
]
