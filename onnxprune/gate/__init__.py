"""The release gate: a policy, what is measured for it, and the verdict."""

from onnxprune.gate.checks import Check
from onnxprune.gate.judge import Judgement, judge
from onnxprune.gate.policy import Policy

__all__ = ["Check", "Judgement", "Policy", "judge"]
