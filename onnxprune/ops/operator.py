"""What the compiler knows of one operator, in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from onnxprune.axes import Dim, Keeps, kept_size
from onnxprune.errors import ModelError
from onnxprune.ir.edit import Number
from onnxprune.ops.encoding import Encoding
from onnxprune.ops.notation import Axis, Operand, Signature, parse
from onnxprune.ops.site import Site, Value

IntArray = npt.NDArray[np.int64]
CONTRIB = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What changes at a node when dims shrink.

    Attributes:
        attributes: new values of attributes, which the node may not have had.
        inputs: new elements of constant integer inputs, by input index.
    """

    attributes: Mapping[str, Number] = field(default_factory=dict[str, Number])
    inputs: Mapping[int, IntArray] = field(default_factory=dict[int, IntArray])


@dataclass(frozen=True, slots=True)
class Gain:
    """A factor for each channel, as an inference BatchNormalization applies it.

    Attributes:
        axis: axis of input 0 that the channels lie on.
        inputs: indices of the constant inputs that the factor is computed from.
        compute: (site, those constants) -> factor of each channel, shape ``[c]``.
    """

    axis: int
    inputs: tuple[int, ...]
    compute: Callable[..., npt.NDArray[np.float64]]


Text = str | Callable[[Site], str]
"""A signature line, or what writes it for a site."""

_TELLING = ("scale", "divisor")
"""Names of operands that say what the operator does with them."""


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator over a range of opset versions.

    Attributes:
        name: ONNX operator type.
        relate: says how the operator's axes belong together.
        since: first opset version described.
        domain: operator set; ``""`` is the standard one.
        attributes: attributes that count a letter or a product, as ``{"group": "g"}``; one that
            is absent or 0 says nothing.
        macs: products of letters whose sum is the number of multiply-accumulates.
        rewrite: new attributes and constant inputs after pruning, beyond `attributes`.
        masked: name of the operator's masked form in `ops/masked.py`, where a mask over its
            reduced letters changes more than its operands.
        tells_sizes: whether the result lists sizes of the input, which pruning changes.
        looks_up: whether other operands choose which rows of the first one are read.
        gain: what the operator multiplies each channel of its input with, if it does just that.
        encodings: operands whose integers stand for numbers.
        rounds: whether it rounds its input to few steps by itself.
        in_order: whether the order of the indices matters that it reduces over.
        selects: whether it takes each element from one of its operands, so that some may never
            be seen.
        opaque: whether nothing is pruned that it touches.
        text: the signature line, or what writes it; None where `relate` says more than a line.
    """

    name: str
    relate: Callable[[Site], None]
    since: int = 1
    domain: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict[str, str])
    macs: tuple[tuple[str, ...], ...] = ()
    rewrite: Callable[[Site, Keeps], Rewrite] | None = None
    masked: str = ""
    tells_sizes: bool = False
    looks_up: bool = False
    gain: Gain | None = None
    encodings: tuple[Encoding, ...] = ()
    rounds: bool = False
    in_order: bool = False
    selects: bool = False
    opaque: bool = False
    text: Text | None = None

    @property
    def is_convolution(self) -> bool:
        """Whether it is one: what counts its groups is the attribute ``group``."""
        return "group" in self.attributes

    def rewritten(self, site: Site, keeps: Keeps) -> Rewrite:
        """What must change at the node for the given keep masks."""
        own = self.rewrite(site, keeps) if self.rewrite else Rewrite()
        counted = {
            name: prod(kept_size(site.letters[letter], keeps) for letter in product.split())
            for name, product in self.attributes.items()
            if site.letters.keys() >= {*product.split()} and site.attributes.get(name)
        }
        return Rewrite({**counted, **own.attributes}, own.inputs)

    def mac_count(self, site: Site, keeps: Keeps) -> int:
        """Multiply-accumulates of one run: a sum of products of the operator's letters."""
        return sum(
            prod(
                kept_size(dim, keeps)
                for letter in product
                for name, dim in site.letters.items()
                if letter in (name, name.rstrip("0123456789").rstrip("."))
            )
            for product in self.macs
        )


def signature(
    name: str,
    text: Text,
    *,
    since: int = 1,
    domain: str = "",
    attributes: Mapping[str, str] | None = None,
    sizes: Mapping[str, str] | None = None,
    macs: str = "",
    masked: str = "",
    rewrite: Callable[[Site, Keeps], Rewrite] | None = None,
    role: str = "",
    roles: Mapping[str, str] | None = None,
    gain: Gain | None = None,
    opaque: Mapping[str, str] | None = None,
    encodings: tuple[Encoding, ...] = (),
    rounds: bool = False,
    in_order: bool = False,
    selects: bool = False,
) -> Operator:
    """An operator that one line describes.

    Args:
        name: ONNX operator type.
        text: the signature line, or a function that writes it for a site (its rank, its axis).
        since: first opset version that the line holds for.
        domain: operator set.
        attributes: attributes that count a letter, as ``{"group": "g"}``, or a product of them,
            as ``{"num_heads": "k g"}``; they follow it.
        sizes: letters whose size an attribute tells without counting them, as
            ``{"r": "blocksize"}``; the attribute never changes.
        macs: the number of multiply-accumulates as a sum of products, ``"m n k + m n"``.
        masked: name of the masked form.
        rewrite: new attributes and constant inputs after pruning.
        role: what the operator does with axes that all its operands share, if that matters.
        roles: what letters are beyond what the line says, as ``{"h": "head", "c": "sum"}``.
        gain: the factor that it multiplies each channel with.
        opaque: what an index of an opaque letter is, for the reports.
        encodings: operands whose integers stand for numbers.
        rounds: whether it rounds its input to few steps by itself.
        in_order: whether the order of the indices matters that it reduces over.
        selects: whether it takes each element from one of its operands.
    """
    if isinstance(text, str):
        parse(text)
    counted = dict(attributes or {})
    told = {product: name for name, product in counted.items()} | dict(sizes or {})
    noted = dict(roles or {})

    def relate(site: Site) -> None:
        line = text if isinstance(text, str) else text(site)
        apply(site, parse(line), told, opaque or {})
        if role:
            _note_shared(site, role)
        for name, dim in site.letters.items():
            if _letter(name) in noted:
                site.role(noted[_letter(name)], dim)

    return Operator(
        name,
        relate,
        since,
        domain,
        counted,
        tuple(tuple(product.split()) for product in macs.split("+") if product),
        rewrite=rewrite,
        masked=masked,
        gain=gain,
        encodings=encodings,
        rounds=rounds,
        in_order=in_order,
        selects=selects,
        text=text,
    )


def apply(site: Site, line: Signature, told: Mapping[str, str], opaque: Mapping[str, str]) -> None:
    """Couple the axes of `site` as the signature says; block what it leaves out.

    Args:
        site: the operator at its place.
        line: its signature.
        told: letters, or products of them, whose size an attribute tells, with its name.
        opaque: what an index of an opaque letter is.
    """
    operands = [
        *_present(site, line.inputs, site.inputs, 0),
        *_present(site, line.outputs, site.outputs, None),
    ]
    sizes = _sizes(site, operands, told)
    letters = {letter: site.space.dim(size, (site.name, letter)) for letter, size in sizes.items()}
    site.letters.update(letters)
    for value, axes, index in operands:
        for dim, axis in zip(value.dims, axes, strict=True):
            described = _dim(site, axis, letters)
            site.same(dim, described)
            if dim.size == described.size:
                for name in axis.letters:
                    if index is not None and line.inputs[index].name in _TELLING:
                        site.role(line.inputs[index].name, letters[name], index)
                    _note(site, line, name, letters[name], -1 if index is None else index)
    for name, dim in letters.items():
        if _letter(name) in line.opaque:
            site.block(dim, opaque.get(_letter(name), "spatial or kernel axis"), inherent=True)


def _letter(name: str) -> str:
    """The letter that a line writes: those of a star are numbered."""
    return name.rpartition(".")[0] or name


def _dim(site: Site, axis: Axis, letters: Mapping[str, Dim]) -> Dim:
    return site.space.concat(
        site.space.product(
            letters[x] if isinstance(x, str) else _dim(site, x, letters) for x in product
        )
        for product in axis.terms
    )


Bound = tuple[Value, list[Axis], int | None]


def _present(
    site: Site, operands: tuple[Operand, ...], values: tuple[Value | None, ...], first: int | None
) -> list[Bound]:
    """Pair the operands that are there with their values; block values beyond the signature."""
    bound: list[Bound] = []
    for place, value in enumerate(values):
        if value is None:
            continue
        if place >= len(operands):
            for dim in value.dims:
                site.block(dim, f"{site.op_type}: operand not described by the signature")
            continue
        bound.append(
            (value, _expand(site, operands[place], value), None if first is None else place)
        )
    return bound


def _expand(site: Site, operand: Operand, value: Value) -> list[Axis]:
    """What each axis of `value` is; a star becomes numbered letters, counted from the right."""
    starred = any(axis.star for axis in operand.axes)
    room = len(value.shape) - len(operand.axes) + starred
    if room < 0 or (room and not starred):
        raise ModelError(
            f"{site.op_type} has a rank {len(value.shape)} operand {operand.name!r} "
            f"where its definition has {len(operand.axes)} axes",
            where=f"node {site.name}, value {value.name}",
        )
    axes: list[Axis] = []
    for axis in operand.axes:
        axes.extend(_numbered(axis, room) if axis.star else [axis])
    return axes


def _numbered(axis: Axis, count: int) -> list[Axis]:
    return [Axis(((f"{axis.letters[0]}.{i}",),)) for i in reversed(range(count))]


def _sizes(site: Site, operands: list[Bound], told: Mapping[str, str]) -> dict[str, int]:
    """Solve the letters' sizes from the shapes and from what attributes tell.

    An attribute that is absent counts 1, unless the shapes say otherwise.
    """
    known = [axis for _, axes, _ in operands for axis in axes]
    sizes = {letter: int(letter) for axis in known for letter in axis.letters if letter.isdigit()}
    counts = {Axis((tuple(x.split()),)): site.attribute(name, 0) for x, name in told.items()}
    single = {axis.letters[0]: size for axis, size in counts.items() if len(axis.letters) == 1}
    sizes |= {letter: size for letter, size in single.items() if size}
    pending = [(axis, size) for axis, size in counts.items() if size and len(axis.letters) > 1]
    for value, axes, _ in operands:
        for axis, size in zip(axes, value.shape, strict=True):
            if axis.terms == ((name := axis.letters[0],),):
                sizes[name] = size if sizes.get(name, 1) == 1 else sizes[name]
            else:
                pending.append((axis, size))
    while pending:
        axis, size = min(pending, key=lambda one: len({*one[0].letters} - sizes.keys()))
        if len({*axis.letters} - sizes.keys()) > 1:
            sizes = dict.fromkeys(single, 1) | sizes
        pending.remove((axis, size))
        if not _solve(axis, size, sizes):
            raise ModelError(
                f"{site.op_type}: an axis of size {size} does not factor into {axis} with {sizes}",
                where=f"node {site.name}",
            )
    return dict.fromkeys(single, 1) | sizes


def _solve(axis: Axis, size: int, sizes: dict[str, int]) -> bool:
    """Find the size of the only letter of an axis that is not known; whether all fits."""
    unknown = [letter for letter in axis.letters if letter not in sizes]
    if not unknown:
        return size in (axis.size(sizes), 1)
    low, high = (axis.size({**sizes, unknown[0]: n}) if len(unknown) == 1 else 0 for n in (0, 1))
    if high <= low or size < low:
        return False
    sizes[unknown[0]] = (size - low) // (high - low)
    return axis.size(sizes) == size


def _note_shared(site: Site, role: str) -> None:
    operands = [value for value in site.inputs if value is not None and prod(value.shape) > 1]
    if len(operands) > 1 and not any(value.constant for value in operands):
        for dim in site.y().dims:
            site.role(role, dim)


def _note(site: Site, line: Signature, name: str, dim: Dim, operand: int) -> None:
    reduced = line.inputs[operand].reduced if operand >= 0 else ()
    for role, letters in (
        ("contracted", line.contracted),
        ("batch", line.batch),
        ("reduced", reduced),
        ("outer", line.outer),
    ):
        if _letter(name) in letters and (operand not in line.added or role == "reduced"):
            site.role(role, dim, operand)
