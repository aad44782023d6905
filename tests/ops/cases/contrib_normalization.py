"""ONNX Runtime's normalisations: residuals, embeddings, gates, branches, activations."""

from tests.ops import functions
from tests.ops.case import Draw, case, contrib, weights, whole

_IDS = whole(2, 3, high=6, dtype="int32")
_KINDS = whole(2, 3, high=1, dtype="int32")
_SKIPS = "SkipLayerNormalization", "SkipSimplifiedLayerNormalization"

CASES = (
    *(contrib(name, (2, 3, 8), (2, 3, 8), (8,)) for name in _SKIPS),
    *(contrib(name, (2, 3, 8), (2, 3, 8), (8,), outputs="y0 - - y3") for name in _SKIPS),
    *(contrib(name, (2, 3, 8), (2, 3, 8), (8,), (8,), epsilon=1e-2) for name in _SKIPS),
    contrib("SkipLayerNormalization", *[(2, 3, 8)] * 2, (8,), (8,), (8,), outputs="y0 - - y3"),
    contrib("SkipLayerNormalization", (2, 3, 8), (2, 3, 8), (8,), None, (8,)),
    contrib("SkipLayerNormalization", (2, 3, 8), (1, 3, 8), (8,), (8,)),
    contrib("SkipLayerNormalization", (2, 3, 8), (3, 8), (8,), (8,)),
    contrib("SkipLayerNormalization", (5, 8), (5, 8), (8,)),
    contrib("SkipLayerNormalization", *[Draw(s, "float16") for s in ((2, 3, 8), (2, 3, 8), (8,))]),
    contrib("SkipSimplifiedLayerNormalization", (5, 8), (5, 8), (8,), (8,), outputs="y0 - - y3"),
    case("SimplifiedLayerNormalization", (2, 3, 8), (8,)),
    case("SimplifiedLayerNormalization", (2, 3, 8), (8,), outputs="y0 y1"),
    case("SimplifiedLayerNormalization", (2, 3, 4, 5), (4, 5), axis=-2, epsilon=1e-2),
    contrib(
        "EmbedLayerNormalization",
        _IDS,
        _KINDS,
        (7, 8),
        (5, 8),
        (2, 8),
        (8,),
        (8,),
        outputs="y0 y1",
        blocked="x0.1 x1.1 x2.0 x3.0 x4.0 y0.1",
    ),
    contrib(
        "EmbedLayerNormalization",
        _IDS,
        None,
        (7, 8),
        weights(5, 8),
        None,
        (8,),
        (8,),
        None,
        whole(2, 3, high=4, dtype="int32"),
        outputs="y0 y1 y2",
        epsilon=1e-2,
        blocked="x2.0 x3.0",
    ),
    *(contrib("BranchwiseRMSNorm", (2, 4, 3, 5), *s) for s in ((), [(5,)], [(15,)], [(3, 5)])),
    *(
        contrib("BranchwiseRMSNorm", (2, 4, 15), *s, num_branches=3, epsilon=1e-2)
        for s in ((), [(5,)], [(15,)], [(3, 5)])
    ),
    contrib("GatedRMSNorm", (2, 4, 15), (5,), (2, 4, 15)),
    contrib("GatedRMSNorm", (2, 4, 15), (5,), (2, 4, 15), activation="sigmoid", epsilon=1e-2),
    # No kernel on the CPU.
    contrib(
        "GroupNorm", (2, 3, 4, 12), (12,), (12,), groups=3, activation=0, means=functions.GROUP_NORM
    ),
    contrib(
        "GroupNorm",
        (2, 12, 3, 4),
        (12,),
        (12,),
        groups=3,
        activation=1,
        channels_last=0,
        epsilon=1e-2,
        means=functions.GROUP_NORM_FIRST,
    ),
    contrib(
        "SkipGroupNorm",
        (2, 3, 4, 12),
        (12,),
        (12,),
        (2, 12),
        (12,),
        groups=3,
        activation=1,
        outputs="y0 y1",
        means=functions.SKIP_GROUP_NORM,
    ),
    contrib(
        "SkipGroupNorm",
        (2, 3, 4, 6),
        (6,),
        (6,),
        (2, 1, 1, 6),
        (6,),
        groups=2,
        activation=1,
        outputs="y0 y1",
        means=functions.SKIP_GROUP_NORM,
    ),
    contrib(
        "BiasSoftmax",
        (2, 3, 4, 5),
        (2, 1, 1, 5),
        axis=3,
        is_inner_broadcast=1,
        means=functions.BIAS_SOFTMAX,
    ),
    contrib(
        "BiasSoftmax", (2, 3, 4), (3, 4), axis=1, is_inner_broadcast=0, means=functions.BIAS_SOFTMAX
    ),
)
