"""Weights as numbers, whether the model holds them as such or as integers that an operator decodes.

Integers keep their scales and zero points: a quantized layer's bias and what runtimes fuse it to
rely on these. A weight beyond the range ends at its border.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from onnxprune.coupling.analysis import Analysis
from onnxprune.ir.model import Model
from onnxprune.ir.tensors import ArrayTensor, Tensor

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """The weights of a model by the names of the values that layers read.

    Attributes:
        analysis: of the model before channels were removed; it knows what is decoded from what.
        model: holds the constants.
    """

    analysis: Analysis
    model: Model

    def __contains__(self, name: str) -> bool:
        """Whether a value is a weight."""
        return self.holder(name) in self.model.constants

    def __getitem__(self, name: str) -> Array:
        """The numbers of a weight."""
        holder = self.holder(name)
        if holder == name:
            return self.model.constants[name].numpy()
        placed, encoding = self.analysis.encoded[holder]
        return encoding.decoded(placed.site, placed.reader(self.model.constants))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight."""
        return self.model.constants[self.holder(name)].shape

    def stored(self, fresh: Mapping[str, Array]) -> dict[str, Tensor]:
        """New numbers as the model holds them: constants by name.

        Args:
            fresh: by weight.
        """
        constants: dict[str, Tensor] = {}
        for name, array in fresh.items():
            holder = self.holder(name)
            old = self.model.constants[holder]
            if holder != name:
                placed, encoding = self.analysis.encoded[holder]
                array = encoding.encoded(placed.site, placed.reader(self.model.constants), array)
            constants[holder] = ArrayTensor(array.astype(old.dtype), old.elem_type)
        return constants

    def holder(self, name: str) -> str:
        """The constant that holds a weight's numbers; "" if there is none."""
        return self.analysis.weight_of(name)
