"""Scales of normalisations: what a network was taught to scale down is not needed.

Source: Z. Liu, J. Li, Z. Shen, G. Huang, S. Yan, C. Zhang, "Learning Efficient Convolutional
Networks through Network Slimming", ICCV 2017.
"""

from __future__ import annotations

import numpy as np

from onnxprune.coupling.groups import Group, Member
from onnxprune.passes.score.magnitude import l2
from onnxprune.passes.score.scoring import Scores, Scoring


def norm_scale(scoring: Scoring) -> dict[Group, Scores]:
    """Sizes of the scales along a group; of groups without any, the norms of their weights."""
    scales = {
        placed.node.inputs[role.operand]
        for placed in scoring.analysis.placed
        for role in placed.site.roles
        if role.name == "scale" and role.operand >= 0
    }

    def members(group: Group) -> list[Member]:
        return [member for member in group.members if member.weight in scales]

    scaled = scoring.only(group for group in scoring.groups if members(group))
    others = scoring.only(group for group in scoring.groups if not members(group))
    found = l2(others) | scaled.measured(lambda table: np.abs(table).mean(axis=-1), members)
    return {group: found[group] for group in scoring.groups}
