"""Depth: whole residual blocks go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from onnxprune.coupling.blocks import find_blocks, without
from onnxprune.errors import CheckFailedError, UsageError, unknown
from onnxprune.passes.select.blocks import BLOCK_CRITERIA, BlockChoice
from onnxprune.passes.stand_in import given_or_random
from onnxprune.passes.work import PassReport, Work


@dataclass(frozen=True, kw_only=True)
class RemoveBlocks:
    """Remove whole residual blocks; `FoldEmpty` takes out what is left of them.

    Attributes:
        count: how many go.
        criterion: which ones: ``sensitivity``, ``influence`` or ``random``.
        ignore: glob patterns; what matching nodes read and make stays.
        seed: of random inputs, and of random choices.
    """

    name: ClassVar[str] = "remove-blocks"

    count: int = 1
    criterion: str = "sensitivity"
    ignore: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            UsageError: a value makes no sense.
        """
        if self.count < 1:
            raise UsageError(f"{self.count} blocks cannot be removed", hint="give 1 or more")
        if self.criterion not in BLOCK_CRITERIA:
            raise unknown("criterion for blocks", self.criterion, BLOCK_CRITERIA)

    def run(self, work: Work) -> PassReport:
        """Replace the model by one with fewer blocks.

        Raises:
            CheckFailedError: the model has fewer blocks that can go.
        """
        analysis, groups = work.study(self.ignore)
        blocks = find_blocks(analysis, groups)
        data = given_or_random(work.data, analysis, self.seed)
        choice = BlockChoice(analysis, blocks, self.count, data, self.seed)
        chosen = BLOCK_CRITERIA[self.criterion](choice) if len(blocks) >= self.count else []
        if len(chosen) < self.count:
            raise CheckFailedError(
                f"{self.count} blocks were to go, but there are not so many that can",
                why=f"the model has {len(blocks)}: parts that are added to what goes around them, "
                "and are constant without channels that nothing else has",
                hint="`onnxprune inspect` lists them",
            )
        gone = [group for block in chosen for group in block.groups]
        names = tuple(block.name for block in chosen)
        work.take_out(analysis, groups, gone, without(gone), blocks=names)
        did = f"removed {len(chosen)} of {len(blocks)} blocks, by {self.criterion}"
        return PassReport(self.name, True, [did])
