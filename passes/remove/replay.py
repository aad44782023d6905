"""Replay a plan: remove what it says, on any model of the same architecture."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import ClassVar

from onnxprune.coupling.plan import Plan
from onnxprune.coupling.plan_reading import keeps_from_plan
from onnxprune.passes.fold.empty import FoldEmpty
from onnxprune.passes.remove.channels import summary
from onnxprune.passes.work import PassReport, Work


@dataclass(frozen=True, kw_only=True)
class ApplyPlan:
    """Remove what a plan says.

    Attributes:
        plan: a plan, or the path of one.
    """

    name: ClassVar[str] = "apply-plan"

    plan: Plan | str = ""

    def run(self, work: Work) -> PassReport:
        """Replace the model by one with what the plan keeps.

        Raises:
            PlanError: the plan cannot be read or does not fit the model.
        """
        plan = self.plan if isinstance(self.plan, Plan) else Plan.load(self.plan)
        report = PassReport(self.name)
        for step in plan.removals():
            if work.removals:
                FoldEmpty().run(work)
            analysis, groups = work.study(allow_io=plan.allow_io)
            start = perf_counter()
            keeps = keeps_from_plan(step, analysis, groups)
            work.note_time("remove", start)
            chosen = [group for group in groups if group.leaf in keeps]
            work.take_out(analysis, groups, chosen, keeps)
            report.modified |= bool(keeps)
            report.did.append(summary(chosen, keeps))
        return report
