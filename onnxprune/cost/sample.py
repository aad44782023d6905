"""One sample: what costs are told for, where the batch is free."""

from __future__ import annotations

from dataclasses import dataclass

from onnxprune.coupling.analysis import Analysis


@dataclass(frozen=True, slots=True)
class Sample:
    """What multiply-accumulates are counted for: one sample, where the batch is free.

    Attributes:
        batch: size that the free leading axis is bound to in the analysis; 1 if none is free.
        shapes: the inputs' shapes that counts refer to.
    """

    batch: int
    shapes: dict[str, list[int]]

    @classmethod
    def of(cls, analysis: Analysis) -> Sample:
        """Find out which of the analysed inputs have a free leading axis."""
        bound, varied = analysis.canonical.inputs, analysis.canonical.varied
        batches = {
            shape[0]
            for name, shape in bound.items()
            if shape and varied[name][0] != shape[0] and name not in analysis.canonical.given
        }
        batch = batches.pop() if len(batches) == 1 else 1
        shapes = {
            name: [1, *shape[1:]] if shape and shape[0] == batch else list(shape)
            for name, shape in bound.items()
        }
        return cls(batch, shapes)

    def share(self, macs: int) -> int:
        """The part of a count that one sample takes, rounded."""
        return round(macs / self.batch)
