"""What of a model can be pruned, to hold a variant of it against its original."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import onnx
from zoo.blocked import Blocks, Cause, causes
from zoo.shares import free_share, weigh

import onnxprune as op
from onnxprune.passes import RemoveChannels
from onnxprune.passes.work import Removal, Work

LOST_AT_MOST = 0.02
"""A variant may have so much less of its parameters within reach than the original, in [0, 1]."""
_WORTH_A_WORD = 1e-3


@dataclass(frozen=True, slots=True)
class Reach:
    """What can be pruned of a model, as shares of its parameters, each in [0, 1].

    Attributes:
        touched: in weights that an offered group touches.
        free: removed if every free axis lost the first ratio; see `shares.Shares`.
        causes: by reason, in weights that no offered group touches.
    """

    touched: float
    free: float
    causes: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, removal: Removal, ratio: float) -> "Reach":
        """Measures the model that a removal begins with."""
        parameters, touched = weigh(removal)
        blocks = Blocks(removal.analysis)
        shares = _by_reason(causes(removal, blocks), max(parameters, 1))
        return cls(touched, free_share(removal, ratio), shares)


def reach_of(model: onnx.ModelProto, settings: RemoveChannels) -> Reach:
    """Measures a model of which nothing is removed."""
    loaded = op.load(model)
    work = Work(loaded, loaded)
    settings.run(work)
    return Reach.of(work.removals[0], settings.ratio)


def lost(variant: Reach, original: Reach) -> float:
    """Returns by how much less of a variant can be pruned; below 0 if it is more."""
    return original.touched - variant.touched


def reasons_for_less(variant: Reach, original: Reach) -> Iterator[tuple[str, float]]:
    """Yields the reasons that block more of a variant, with the share that they block more."""
    more = {why: share - original.causes.get(why, 0.0) for why, share in variant.causes.items()}
    for why, share in sorted(more.items(), key=lambda item: -item[1]):
        if share > _WORTH_A_WORD:
            yield why, share


def _by_reason(found: Iterable[Cause], total: int) -> dict[str, float]:
    shares: dict[str, float] = {}
    for cause in found:
        shares[cause.reason] = shares.get(cause.reason, 0.0) + cause.parameters / total
    return shares
