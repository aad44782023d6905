"""Attention and embeddings with integer weights, as ONNX Runtime's quantizer leaves BERT's."""

from __future__ import annotations

from onnxprune.ops.attention import HEAD_ROLES, PLACES, original_scale
from onnxprune.ops.contrib_attention import mask_axes, sequences
from onnxprune.ops.encoding import Encoding
from onnxprune.ops.operator import CONTRIB, signature
from onnxprune.ops.quantized import along
from onnxprune.ops.site import Site


def _attention(site: Site) -> str:
    """Attention with a projection of integers; queries, keys and values are alike wide."""
    columns = "(h d + h d + h d)"
    return (
        f"x[{sequences(site, 5)}, #s, i], w[i, (h d! + h d! + h d)],"
        f" bias[(h d! + h d! + h d)], xs[{along(site, 3, 'u')}], ws[{along(site, 4, columns)}],"
        f" mask[{mask_axes(site, 5)}]?, xz[{along(site, 6, 'u')}]?,"
        f" wz[{along(site, 7, columns)}]?, past[2, b, h, #p, d!]?"
        f" -> y[b, s, (h d)], present[2, b, h, #u, d]?"
    )


def _embedding(site: Site) -> str:
    """Rows of tables are added up and normalised; each table has one scale."""
    parameters = ", ".join(f"p{i}[{along(site, i, 'u')}]?" for i in range(8, 18))
    return (
        "ids[b, #s], segments[b, s]?, words[#v, c!], positions[#p, c], kinds[#k, c]?, gamma[c],"
        f" beta[c], mask[b, s]?, {parameters} -> y[b, s, c], lengths[b]?"
    )


OPERATORS = (
    signature(
        "QAttention",
        _attention,
        domain=CONTRIB,
        attributes={"num_heads": "h"},
        macs="b s i h d + b s i h d + b s i h d",
        rewrite=original_scale,
        roles=HEAD_ROLES,
        opaque=PLACES,
        encodings=(Encoding(0, 3, 6), Encoding(1, 4, 7)),
        rounds=True,
    ),
    signature(
        "QEmbedLayerNormalization",
        _embedding,
        domain=CONTRIB,
        masked="QEmbedLayerNormalization",
        roles={"v": "vocabulary"},
        opaque={
            **dict.fromkeys("vpk", "rows of a table are looked up at run time"),
            "s": "positions are counted",
        },
        encodings=tuple(Encoding(i, i + 6, i + 11) for i in range(2, 7)),
    ),
)
