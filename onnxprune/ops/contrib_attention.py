"""ONNX Runtime's attention operators: heads, groups of them that share keys, and their dimensions.

``h`` are heads; where queries share keys and values, ``k`` are the groups and ``(k g)`` the heads.
``d`` are the dimensions that queries and keys are compared by, ``e`` those of the values. A biased
query is not 0 where its projection is, so that ``d`` is reduced on whatever makes the query; so it
is beside a cache, whose keys have the dimension, too.

Operators scale by the root of the number of dimensions that they see, unless an attribute says by
what; it keeps what it was.
"""

from __future__ import annotations

from dataclasses import replace

from onnxprune.axes import Keeps, kept_size
from onnxprune.ir.edit import Number
from onnxprune.ops.attention import HEAD_ROLES, PLACES, original_scale
from onnxprune.ops.operator import CONTRIB, Operator, Rewrite, signature
from onnxprune.ops.site import Site

_BY_EIGHTS = {**PLACES, "d": "the operator takes heads of a multiple of 8 dimensions"}


def _projected(site: Site, keeps: Keeps) -> Rewrite:
    """Widths of queries, keys and values, where the values' is no longer that of the others."""
    heads, key, value = (kept_size(site.letters[x], keeps) for x in "hde")
    attributes: dict[str, Number] = dict(original_scale(site, keeps).attributes)
    if value != key or "qkv_hidden_sizes" in site.attributes:
        attributes["qkv_hidden_sizes"] = [heads * key, heads * key, heads * value]
    return Rewrite(attributes)


def _completed(operator: Operator) -> Operator:
    """Bind the letters that are counted and that no operand has.

    Where no operand tells the places ``u`` that a query is weighed against, they are those of the
    keys, ``t``, or its own, ``s``; values have as many dimensions as keys where they have no ``e``.
    """

    def relate(site: Site) -> None:
        operator.relate(site)
        for missing, others in {"u": "ts", "e": "d"}.items():
            for other in others:
                if missing not in site.letters and other in site.letters:
                    site.letters[missing] = site.letters[other]

    return replace(operator, relate=relate)


def mask_axes(site: Site, index: int) -> str:
    """The axes of a mask in one of its many forms, which tells places or how many there are."""
    if not site.has(index):
        return ""
    shape, batch = site.x(index).shape, site.x().shape[0]
    if len(shape) == 1:
        return {batch: "b", 2 * batch: "(2 b)"}.get(shape[0], "#l")
    return {2: "b, #u", 3: "b, #s, #u"}.get(len(shape), "b, #o, #m, #m")


def _values(site: Site, *caches: bool) -> str:
    """The letter of the values' dimensions: a cache has as many of them as of the keys'."""
    return "d" if any(caches) else "e"


def asked(site: Site, index: int) -> bool:
    """Whether somebody asks for an output."""
    return index < len(site.outputs) and site.outputs[index] is not None


def sequences(site: Site, index: int) -> str:
    """A mask that is one vector for all sequences fixes how many there are."""
    one = site.has(index) and len(site.x(index).shape) == 1
    return "#b" if one and mask_axes(site, index) == "#l" else "b"


def _attention(site: Site) -> str:
    e = _values(site, site.has(4), asked(site, 1))
    d = "#d!" if site.attribute("do_rotary", 0) else "d!"
    return (
        f"x[{sequences(site, 3)}, #s, i], w[i, (h {d} + h {d} + h {e})],"
        f" bias[(h d! + h d! + h {e})]?, mask[{mask_axes(site, 3)}]?, past[2, b, h, #p, d!]?,"
        f" scores[b, h, #s, #u]?, length[*n]? -> y[b, s, (h {e})], present[2, b, h, #u, d]?"
    )


def _decoder_self_attention(site: Site) -> str:
    d = "#d!" if site.attribute("do_rotary", 0) else "d!"
    return (
        f"x[b, #s, i], w[i, (h {d} + h d! + h d!)], bias[(h d! + h d! + h d!)],"
        f" mask[{mask_axes(site, 3)}]?, past[2, b, h, #p, d!]?, scores[b, h, #s, #u]?, length[*n]?,"
        " beams[*n]?, beam_of[b, #j, #l]? -> y[b, s, (h d)], present[2, b, h, #u, d]?"
    )


def _packed_attention(site: Site) -> str:
    return (
        "x[#n, i], w[i, (h d! + h d! + h e)], bias[(h d! + h d! + h e)], places[#b, #s],"
        " starts[#c], scores[b, h, #s, #t]? -> y[n, (h e)]"
    )


def _heads(site: Site, e: str, bias: int) -> str:
    """Queries, keys and values of a MultiHeadAttention in one of their layouts; and its bias."""
    s = "#s" if site.attribute("unidirectional", 0) else "s"
    if len(site.x().shape) == 5:
        qkv = "q[b, #s, h, 3, d!], k[]?, v[]?"
    elif not site.has(1):
        qkv = "q[b, #s, (h d! + h d + h d)], k[]?, v[]?"
    else:
        rank = len(site.x(1).shape)
        kv = {
            3: f"k[b, #t, (h d)], v[b, #t, (h {e})]",
            4: "k[b, h, #t, d], v[b, h, #t, d]",
            5: "k[b, #t, h, 2, d], v[]?",
        }
        qkv = f"q[b, {s}, (h d!)], {kv[rank]}"
    return f"{qkv}, bias[(h d! + h d! + h {e})]?" if bias else qkv


def _shared_dims(site: Site, past: int) -> str:
    """The letter of the values' dimensions: only loose values have a number of their own."""
    loose = site.has(1) and len(site.x(1).shape) == 3 and len(site.x().shape) == 3
    return _values(site, site.has(past), not loose)


def _multi_head(site: Site) -> str:
    e = _shared_dims(site, 7)
    s = "#s" if site.attribute("unidirectional", 0) else "s"
    return (
        f"{_heads(site, e, 3)}, mask[{mask_axes(site, 4)}]?, "
        f" scores[{sequences(site, 4)}, h, {s}, #u]?,"
        f" past_k[b, h, #p, d]?, past_v[b, h, #p, {e}]?, length[*n]?, beam_of[b, #j, #l]?"
        f" -> y[b, s, (h {e})], key[b, h, #u, d]?, value[b, h, #u, {e}]?, qk[b, h, s, #u]?"
    )


def _decoder_multi_head(site: Site) -> str:
    e = _shared_dims(site, 6)
    return (
        f"{_heads(site, e, 0)}, mask[{mask_axes(site, 3)}]?, scores[b, h, s, #u]?,"
        f" past_k[b, h, #p, d]?, past_v[b, h, #p, {e}]?, length[*n]?, beams[*n]?,"
        f" beam_of[b, #j, #l]?, bias[(h d! + h d! + h {e})]?"
        f" -> y[b, s, (h {e})], key[b, h, #u, d]?, value[b, h, #u, {e}]?, qk[b, h, s, #u]?"
    )


def _packed_multi_head(site: Site) -> str:
    loose = len(site.x().shape) == 2
    e = "e" if loose else "d"
    qkv = "q[#n, (h d)], k[#n, (h d)], v[#n, (h e)]" if loose else "q[#n, h, 3, d!], k[]?, v[]?"
    return (
        f"{qkv}, bias[(h d! + h d! + h {e})]?, places[#b, #s], starts[#c],"
        f" scores[b, h, #s, #t]? -> y[n, (h {e})]"
    )


def _shared_heads(site: Site) -> str:
    """Queries, keys and values of which several queries share a key; in one tensor, or each."""
    if not site.has(1):
        return "q[b, #s, (k g #d + k d + k d)], k[]?, v[]?"
    kv = "b, k, #t, d" if len(site.x(1).shape) == 4 else "b, #t, (k d)"
    return f"q[b, #s, (k g #d)], k[{kv}], v[{kv}]"


def _scale(site: Site, name: str, index: int) -> str:
    """The scale of a cache of integers, one number or one for each dimension of each head."""
    wide = site.has(index) and len(site.x(index).shape) == 3
    return f"{name}_scale[{'k, one, d' if wide else '*n'}]?"


def _grouped(site: Site) -> str:
    lengths = "b, one" if site.has(5) and len(site.x(5).shape) == 2 else "b"
    return (
        f"{_shared_heads(site)}, past_k[b, k, #p, d]?, past_v[b, k, #p, d]?, lengths[{lengths}]?,"
        " total[*n]?, cos[#m, #r]?, sin[#m, #r]?, places[*z]?, scores[b, (k g), #s, #u]?,"
        f" sink[(k g)]?, {_scale(site, 'key', 12)}, {_scale(site, 'value', 13)}, q_norm[d]?,"
        " k_norm[d]? -> y[b, s, (k g d)], key[b, k, #u, d]?, value[b, k, #u, d]?,"
        " qk[b, (k g), s, #u]?"
    )


def _sparse(site: Site) -> str:
    """Heads take turns with the layouts of the mask, so that they can go only if there is one."""
    layouts = "one" if site.x(5).shape[0] == 1 else "#y"
    turn = "" if site.x(5).shape[0] == 1 else "#"
    return (
        f"{_shared_heads(site)}, past_k[b, {turn}k, #p, d], past_v[b, k, #p, d],"
        f" rows[{layouts}, #x], columns[{layouts}, #z], total[*n], lengths[b], cos[#m, #r]?,"
        f" sin[#m, #r]? -> y[b, s, (k {turn}g d)], key[b, k, #u, d], value[b, k, #u, d]"
    )


def _paged(site: Site) -> str:
    """A latent cache has the dimensions of keys and values in one."""
    if not site.has(4):
        operands = ", ".join(f"x{i}[#*a{i}]?" for i in range(17))
        return f"{operands} -> y[#*a], key[#*b]?"
    qkv = (
        "q[#n, (k g #d)], k[n, (k d)], v[n, (k d)]"
        if site.has(1)
        else "q[#n, (k g #d + k d + k d)], k[]?, v[]?"
    )
    key, value = (_scale(site, name, index) for name, index in (("key", 14), ("value", 15)))
    return (
        f"{qkv}, keys[#c, #z, k, d], values[#c, #z, k, d], starts[#j], past[#b], blocks[#b, #t],"
        " cos[#m, #r]?, sin[#m, #r]?, slots[n]?, sink[(k g)]?, q_norm[d]?, k_norm[d]?,"
        f" {key}, {value}, bounds[#o]? -> y[n, (k g d)], key[#c, #z, k, d]?, value[#c, #z, k, d]?"
    )


def _rotary(site: Site) -> str:
    """Pairs of dimensions turn together: halves, or neighbours; the rest of a head stays."""
    pairs = "r 2" if site.attribute("interleaved", 0) else "2 r"
    rest = " + f" if site.attribute("rotary_embedding_dim", 0) else ""
    ragged = bool(site.attribute("is_packed_batching", 0))
    listed = len(site.x(1).shape) == 2 and not ragged
    b, s = "#b" if ragged else "b", "s" if listed else "#s"
    head = f"({pairs}{rest})"
    flat = len(site.x().shape) == 3
    x = f"{b}, {s}, (h {head})" if flat else f"{b}, h, {s}, {head}"
    y = x.replace("#", "")
    return f"x[{x}], places[{f'b, {s}' if listed else '*z'}], cos[#m, r], sin[#m, r] -> y[{y}]"


def _rotary_of_sections(site: Site) -> str:
    """Each section of the pairs turns by another stream of positions."""
    rest = " + f" if site.attribute("rotary_embedding_dim", 0) else ""
    pairs = "#r 2" if site.attribute("interleaved", 0) else "2 #r"
    head = f"({pairs}{rest})"
    x = f"b, s, (h {head})" if len(site.x().shape) == 3 else f"b, h, s, {head}"
    return f"x[{x}], places[3, b, s], cos[#m, #r], sin[#m, #r] -> y[{x.replace('#', '')}]"


def _linear(site: Site) -> str:
    """Queries share keys, or keys share queries, whichever are fewer."""
    q, kv = ("k g", "k") if _queries_share(site) else ("k", "k g")
    window = "#w, " if site.attribute("state_window", 0) else ""
    wide = site.has(4) and site.x(4).shape[2] != site.attribute("kv_num_heads", 1)
    one = site.has(5) and site.x(5).shape[2] == 1
    return (
        f"q[b, #t, ({q} d)], k[b, #t, ({kv} d!)], v[b, #t, ({kv} e)],"
        f" past[{window}b, ({kv}), d!, e]?, decay[b, #t, ({kv}{' d' * wide})]?,"
        f" beta[b, #t, {'one' if one else f'({kv})'}]?"
        f" -> y[b, t, (k g e)], present[{window}b, ({kv}), d, e]"
    )


def _queries_share(site: Site) -> bool:
    return site.attribute("q_num_heads", 1) >= site.attribute("kv_num_heads", 1)


def _linear_attention() -> Operator:
    """One operator of two, for it depends on the node which attribute counts which letters."""
    forms = {
        many == "q_num_heads": signature(
            "LinearAttention",
            _linear,
            attributes={many: "k g", few: "k"},
            rewrite=original_scale,
            roles=HEAD_ROLES,
            opaque=PLACES,
        )
        for many, few in (("q_num_heads", "kv_num_heads"), ("kv_num_heads", "q_num_heads"))
    }
    return Operator(
        "LinearAttention",
        lambda site: forms[_queries_share(site)].relate(site),
        domain=CONTRIB,
        macs=(tuple("btkgde"), tuple("btkgde")),
        text=_linear,
        rewrite=lambda site, keeps: forms[_queries_share(site)].rewritten(site, keeps),
    )


_PROJECTED = "b s i h d + b s i h d + b s i h e"
_WEIGHED = "b h s u d + b h s u e"
_HEADS = {"num_heads": "h"}
_SHARED = {"num_heads": "k g", "kv_num_heads": "k"}

OPERATORS = (
    *(
        _completed(
            signature(
                name,
                line,
                domain=CONTRIB,
                attributes=_HEADS,
                macs=macs,
                rewrite=rewrite,
                roles=HEAD_ROLES,
                opaque=PLACES,
            )
        )
        for name, line, rewrite, macs in (
            ("Attention", _attention, _projected, f"{_PROJECTED} + {_WEIGHED}"),
            ("DecoderMaskedMultiHeadAttention", _decoder_multi_head, original_scale, _WEIGHED),
            (
                "DecoderMaskedSelfAttention",
                _decoder_self_attention,
                original_scale,
                f"{_PROJECTED} + {_WEIGHED}",
            ),
            ("MultiHeadAttention", _multi_head, original_scale, _WEIGHED),
            (
                "PackedAttention",
                _packed_attention,
                _projected,
                "n i h d + n i h d + n i h e + n h s d + n h s e",
            ),
            ("PackedMultiHeadAttention", _packed_multi_head, original_scale, "n h s d + n h s e"),
        )
    ),
    *(
        _completed(
            signature(
                name,
                line,
                domain=CONTRIB,
                attributes=_SHARED,
                macs=macs,
                roles=HEAD_ROLES,
                opaque=_BY_EIGHTS,
            )
        )
        for name, line, macs in (
            ("GroupQueryAttention", _grouped, "b s k g d u + b s k g d u"),
            ("PagedAttention", _paged, ""),
            ("SparseAttention", _sparse, "b s k g d u + b s k g d u"),
        )
    ),
    _linear_attention(),
    *(
        signature(
            name,
            line,
            domain=CONTRIB,
            attributes={"num_heads": "h", "rotary_embedding_dim": "2 r"},
            roles=HEAD_ROLES,
            opaque=PLACES,
        )
        for name, line in (("RotaryEmbedding", _rotary), ("MRotaryEmbedding", _rotary_of_sections))
    ),
    signature(
        "GemmaRotaryEmbedding",
        "angles[b, s, d], q[b, h, s, d], turned_q[b, h, s, d], k[b, h, s, d],"
        " turned_k[b, h, s, d] -> y0[b, h, s, d], y1[b, h, s, d]",
        domain=CONTRIB,
        roles=HEAD_ROLES,
    ),
    signature(
        "GatedRelativePositionBias",
        "q[b, s, (h d)], q_bias[(h d)], rel[one, h, s, t], w[d!, (2 m!)], bias[(2 m!)],"
        " gain[one, h, one, one], places[b, s]? -> y[b, h, s, t]",
        domain=CONTRIB,
        attributes=_HEADS,
        roles=HEAD_ROLES,
        opaque=PLACES,
    ),
)
