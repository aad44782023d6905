"""ONNX Runtime's operators that work index by index, look elements up or move them."""

import numpy as np

from tests.ops import functions
from tests.ops.case import contrib, floats, ints, scalar, weights, whole

CASES = (
    contrib("BiasGelu", (2, 3, 7), (7,)),
    contrib("FastGelu", (2, 3, 7), (7,)),
    contrib("FastGelu", (2, 3, 7)),
    contrib("QuickGelu", (2, 3, 7), alpha=1.7),
    contrib("Gelu", (2, 3, 7)),
    contrib("ScaledSiLU", (2, 7), scalar(0.5)),
    contrib("ScaledSiLU", (2, 7), alpha=0.5),
    contrib("GatedAdd", (2, 3, 5), (2, 3, 5), (2, 3, 1)),
    contrib("LinearAttentionGate", (2, 3, 5), (5,), (5,), (2, 3, 5), outputs="y0 y1"),
    contrib("LinearAttentionGate", (2, 3, 5), (5,), (5,)),
    contrib("SampleOp", (2, 7)),
    contrib("MurmurHash3", whole(4, 5, dtype="int32"), positive=0, outputs="y0"),
    contrib("ExpandDims", (2, 3), np.array(1, dtype=np.int32)),
    contrib("Range", ints(1).reshape(()), ints(5).reshape(()), blocked="y0.0"),
    contrib("Trilu", (2, 3, 4), ints(1).reshape(()), blocked="x0.12 y0.12"),
    contrib("Inverse", (2, 3, 3), blocked="x0.12 y0.12"),
    *(contrib("CDist", (4, 3), (5, 3), metric=metric) for metric in ("euclidean", "sqeuclidean")),
    contrib("GridSample", (2, 3, 4, 5), (2, 6, 7, 2), blocked="x0.23 x1.3"),
    contrib("Pad", (2, 3), ints(0, 0, 0, 2), floats(0.5), partly="y0.1"),
    contrib("Pad", (2, 3), ints(0, 0, 0, 2).reshape(1, 4), partly="y0.1"),
    contrib("GatherND", (4, 3, 5), ints(1, 2).reshape(1, 2), blocked="x0.01"),
    contrib(
        "CropAndResize",
        (2, 3, 8, 9),
        weights(4, 4),
        np.array([0, 1, 0, 1], dtype=np.int32),
        np.array([3, 5], dtype=np.int32),
        blocked="x0.023 x1.1 y0.23",
    ),
    contrib("UnfoldTensor", (2, 3, 7), size=3, step=2, blocked="x0.2 y0.23"),
    contrib("NGramRepeatBlock", whole(2, 5), (2, 9), ngram_size=2, blocked="x0.1 x1.1 y0.1"),
    contrib(
        "EngramGate",
        (2, 3, 4, 5),
        (2, 3, 4, 5),
        (2, 3, 5),
        *[(4, 5)] * 3,
        outputs="y0 y1",
        blocked="x0.3 x1.3 x2.2 x3.1 x4.1 x5.1 y0.3 y1.3",
    ),
    *(
        contrib("HyperConnectionPreMix", (2, 3, 5), gates, reduction_scale=0.5)
        for gates in ((2, 3), (2, 3, 1), (2, 3, 5))
    ),
    *(
        contrib("HyperConnectionPreMix", (2, 15), gates, num_branches=3)
        for gates in ((2, 3), (2, 15), (2, 3, 5))
    ),
    *(
        contrib("HyperConnectionPostMix", (2, 3, 5), (2, 5), gates, *mix)
        for gates in ((2, 3), (2, 3, 1), (2, 3, 5))
        for mix in ((), [(2, 3, 3)])
    ),
    contrib("HyperConnectionPostMix", (2, 15), (2, 5), (2, 3, 5), (2, 3, 3), num_branches=3),
    # No kernel on the CPU.
    contrib("BiasAdd", (2, 3, 7), (7,), (2, 3, 7), means=functions.BIAS_ADD),
    contrib(
        "BiasSplitGelu",
        (2, 3, 14),
        (14,),
        blocked="x0.2 x1.0 y0.2",
        means=functions.BIAS_SPLIT_GELU,
    ),
    contrib("BiasDropout", (2, 3, 7), (7,), (2, 3, 7), means=functions.BIAS_DROPOUT),
    contrib("BitmaskBiasDropout", (2, 3, 7), (7,), (2, 3, 7), means=functions.BIAS_DROPOUT),
    contrib("BitmaskDropout", (2, 3, 7), means=functions.BITMASK_DROPOUT),
    contrib("ComplexMul", (2, 3, 2), (3, 2), blocked="x0.2 x1.1 y0.2", means=functions.COMPLEX_MUL),
    contrib(
        "ComplexMulConj", (3, 2), (3, 2), blocked="x0.1 x1.1 y0.1", means=functions.COMPLEX_MUL_CONJ
    ),
    contrib("IsAllFinite", (2, 3), (5,), outputs="y0", means=functions.ALL_FINITE),
    contrib("Rfft", (3, 5, 8), signal_ndim=1, blocked="x0.2 y0.23", means=functions.RFFT),
    contrib("Irfft", (3, 5, 5, 2), signal_ndim=1, blocked="x0.23 y0.2", means=functions.IRFFT),
    contrib(
        "TorchEmbedding", (5, 7), whole(2, 3, high=4), blocked="x0.0", means=functions.EMBEDDING
    ),
    contrib(
        "RestorePadding",
        (6, 5),
        whole(2, 3, dtype="int32"),
        blocked="x0.0 x1.01 y0.01",
        means=functions.RESTORE_PADDING,
    ),
    contrib(
        "RemovePadding",
        (2, 3, 5),
        whole(2, low=3, high=3, dtype="int32"),
        outputs="y0 y1 y2 y3",
        blocked="x0.01 x1.0 y0.0 y1.01 y2.0",
        means=functions.REMOVE_PADDING,
    ),
)
