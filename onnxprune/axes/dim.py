"""A dim: what the indices along one axis mean.

A `Dim` is a union-find node. The root of its class is *atomic* (its indices are told apart by
nothing but their position), a *product* of factors (row-major, outermost first), a
*concatenation* of segments, or a *family*: a factor that has another tree for each index of a leaf
that stands outside it. Trees only ever get finer: an atomic root may later gain factors, segments
or members, never lose them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Block:
    """Why a dim can never be pruned.

    Where several blocks meet, the earliest is shown; a clash only if there is nothing else.

    Attributes:
        clash: whether the algebra failed; there may be a better reason.
        order: rank of the event.
        reason: the cause in words.
        where: the operator that caused it, or "" when the algebra did.
        inherent: whether the indices are places by nature, such as those of a kernel.
    """

    clash: bool
    order: int
    reason: str
    where: str
    inherent: bool = False


class Dim:
    """One dim of a fixed number of indices; compare by identity of `root`.

    Attributes:
        size: number of indices.
        label: what the dim was made for (a value and its axis, or a letter of a signature).
        members: of a family the dim for each index of `over`; each keeps equally many indices.
        over: the leaf that a family's index depends on.
    """

    __slots__ = ("_parent", "block", "factors", "label", "members", "over", "segments", "size")

    def __init__(self, size: int, label: object = None) -> None:
        """Make an atomic dim of `size` indices in a class of its own."""
        self.size = size
        self.label = label
        self.factors: tuple[Dim, ...] = ()
        self.segments: tuple[Dim, ...] = ()
        self.members: tuple[Dim, ...] = ()
        self.over: Dim | None = None
        self.block: Block | None = None
        self._parent: Dim | None = None

    def __repr__(self) -> str:
        """Show the tree, for example ``(32 4)``, ``48+16`` or ``[2|1+1]``; ``!`` is blocked."""
        root = self.root
        kinds = ("({})", " ", root.factors), ("{}", "+", root.segments), ("[{}]", "|", root.members)
        for around, between, parts in kinds:
            if parts:
                return around.format(between.join(map(repr, parts)))
        return f"{root.size}{'!' if root.block else ''}"

    @property
    def root(self) -> Dim:
        """The representative of this dim's class."""
        root = self
        while root._parent is not None:
            root = root._parent
        while self._parent is not None and self._parent is not root:
            self._parent, self = root, self._parent
        return root

    @property
    def is_atomic(self) -> bool:
        """Whether the class has neither factors nor segments nor members."""
        root = self.root
        return not root.factors and not root.segments and not root.members

    @property
    def is_free(self) -> bool:
        """Whether this is a leaf whose indices may be removed."""
        root = self.root
        return root.is_atomic and root.size > 1 and root.block is None

    @property
    def family(self) -> Dim | None:
        """The first family in the tree, if there is any."""
        root = self.root
        if root.members:
            return root
        found = (part.family for part in root.factors or root.segments)
        return next((family for family in found if family is not None), None)

    def at(self, index: int) -> Dim:
        """The tree where a family's leaf has a certain index."""
        root = self.root
        if root.family is None:
            return root
        if root.members:
            return root.members[index].root
        dim = Dim(root.size, root.label)
        dim.factors = tuple(part.at(index) for part in root.factors)
        dim.segments = tuple(part.at(index) for part in root.segments)
        return dim

    def link(self, other: Dim) -> None:
        """Put this dim's class below the class of `other`; both have the same size."""
        mine, theirs = self.root, other.root
        if mine is not theirs:
            mine._parent = theirs

    def walk_factors(self) -> list[Dim]:
        """The factors of a product, nested products spliced in; otherwise the root alone."""
        root = self.root
        if not root.factors:
            return [root]
        return [leaf for factor in root.factors for leaf in factor.walk_factors()]

    def walk_segments(self) -> list[Dim]:
        """The segments of a concatenation, nested ones spliced in; otherwise the root alone."""
        root = self.root
        if not root.segments:
            return [root]
        return [leaf for segment in root.segments for leaf in segment.walk_segments()]

    def leaves(self) -> Iterator[Dim]:
        """Every atomic root of the tree, each once, in the order of first appearance."""
        seen: set[Dim] = set()
        stack = [self.root]
        while stack:
            root = stack.pop().root
            if root in seen:
                continue
            seen.add(root)
            children = root.factors or root.segments or root.members
            if children:
                stack.extend(reversed(children))
            else:
                yield root
