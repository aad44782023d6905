"""The algebra of dims: products, concatenations, unification, blocks.

`DimSpace.unify(p, q)` says that two axes index the same things and refines both to the coarsest
tree that both share:

- atomic with anything of its size: the classes are linked;
- product with product: cut at every stride that both can have (`strides.common_cuts`); between
  two cuts a single factor on each side is unified, anything else is a *clash*;
- concatenation with concatenation: cut both at the union of their boundaries;
- product with concatenation: cut the product at the boundaries. A boundary inside a row of the
  outer factor cuts the outer factor on both sides of that row, and the inner factor within it.

A clash waits until all is said (`settle`): then the one side may turn out to be rows of the other
(`axes.shuffles`), or both are blocked.

Blocks are marks on leaves and never steer the structure; they are inherited by refinement. That
is why the result does not depend on the order of the calls. A leaf of size 1 is never a removable
unit (`Dim.is_free`), so a product may drop its factors of size 1 without losing any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod

from onnxprune.axes.dim import Block, Dim
from onnxprune.axes.strides import common_cuts, strides


@dataclass(frozen=True, slots=True)
class Edge:
    """One call of `unify`, kept because union-find forgets the path that an explanation shows."""

    left: Dim
    right: Dim
    where: str


@dataclass(frozen=True, slots=True)
class Clash:
    """Two runs of factors that index the same places in orders that have nothing in common.

    Attributes:
        edge: the unification that failed.
        runs: the factors on either side.
        where: the operator that said so, or "" where the algebra concluded it.
    """

    edge: Edge
    runs: tuple[tuple[Dim, ...], tuple[Dim, ...]]
    where: str

    @property
    def reason(self) -> str:
        """In words."""
        left, right = (" x ".join(str(factor.size) for factor in run) for run in self.runs)
        return f"index orders clash: ({left}) against ({right})"


class DimSpace:
    """An arena of dims with the log of what was unified and what was blocked.

    Attributes:
        edges: every unification in order.
        blocks: every blocked dim with its cause, in order.
        clashes: what failed, by `Block.order`, where the algebra blocked.
        waiting: clashes that are not settled yet.
    """

    def __init__(self) -> None:
        """Make an empty space."""
        self.edges: list[Edge] = []
        self.blocks: list[tuple[Dim, Block]] = []
        self.clashes: dict[int, Clash] = {}
        self.waiting: list[Clash] = []

    def dim(self, size: int, label: object = None) -> Dim:
        """A fresh atomic dim of `size` indices."""
        return Dim(size, label)

    def product(self, factors: Iterable[Dim]) -> Dim:
        """The row-major product of `factors`, outermost first; those of size 1 are dropped."""
        kept = tuple(factor for factor in factors if factor.size != 1)
        if len(kept) <= 1:
            return kept[0] if kept else Dim(1)
        dim = Dim(prod(factor.size for factor in kept))
        dim.factors = kept
        return dim

    def concat(self, segments: Iterable[Dim]) -> Dim:
        """The segments end to end; empty ones are dropped."""
        kept = [segment for segment in segments if segment.size]
        if len(kept) == 1:
            return kept[0]
        dim = Dim(sum(segment.size for segment in kept))
        dim.segments = tuple(kept)
        return dim

    def block(self, dim: Dim, reason: str, where: str = "", *, inherent: bool = False) -> None:
        """Forbid pruning any index of `dim`, for good; see `Block`."""
        self._block(dim, Block(False, len(self.blocks), reason, where, inherent))

    def _block(self, dim: Dim, block: Block) -> None:
        self.blocks.append((dim, block))
        self._mark(dim, block)

    def cause(self, block: Block) -> Block:
        """What stands behind a block: of a clash with what is blocked anyway, that block."""
        clash = self.clashes.get(block.order)
        for run in clash.runs if clash is not None else ():
            blocks = [leaf.block for factor in run for leaf in factor.leaves() if leaf.size > 1]
            causes = [
                b if not b.clash or b.order >= block.order else self.cause(b)
                for b in blocks
                if b is not None
            ]
            known = [b for b in causes if not b.clash]
            if known and len(known) == len(blocks):
                return min(known)
        return block

    def unify(self, left: Dim, right: Dim, where: str = "") -> None:
        """Say that both dims index the same things.

        Args:
            left: a dim.
            right: a dim of the same size.
            where: the operator that says so; it is shown by explanations.

        Raises:
            ValueError: the sizes differ.
        """
        if left.size != right.size:
            raise ValueError(f"sizes {left.size} and {right.size} differ at {where!r}")
        self.edges.append(Edge(left, right, where))
        self._unify(left, right, where)

    def cut(self, dim: Dim, bounds: Sequence[int], where: str = "") -> list[Dim]:
        """Refine `dim` so that it can be read as a concatenation cut at `bounds`.

        Args:
            dim: a dim of `n` indices.
            bounds: ascending positions, each in 1 … n-1.
            where: the operator that asks for it; the concatenation is recorded as an edge.

        Returns:
            A fresh dim for each of the ``len(bounds) + 1`` intervals; `dim` if there is but one.
        """
        if not bounds:
            return [dim]
        pieces = [Dim(high - low, dim.label) for low, high in pairwise((0, *bounds, dim.size))]
        self.unify(dim, self.concat(pieces), where)
        return pieces

    def split(self, dim: Dim, sizes: Sequence[int], where: str = "") -> list[Dim]:
        """Refine `dim` into a product of fresh factors of `sizes`; record it as an edge."""
        factors = [Dim(size, dim.label) for size in sizes]
        self.unify(dim, self.product(factors), where)
        return factors

    def become_family(self, dim: Dim, members: Sequence[Dim], over: Dim) -> None:
        """Give a free leaf a tree for each index of another leaf; all are of the leaf's size."""
        root = dim.root
        root.members, root.over = tuple(members), over.root

    def settle(self, resolve: Callable[[Clash], bool] = lambda _: False) -> None:
        """Block what clashes; to be called when all is said.

        Args:
            resolve: whether a clash need not be blocked, because it found a finer tree for it.
        """
        for clash in self.waiting:  # those that resolving leads to join the queue
            if not resolve(clash):
                for factor in (*clash.runs[0], *clash.runs[1]):
                    self.clashes[len(self.blocks)] = clash
                    self._block(factor, Block(True, len(self.blocks), clash.reason, clash.where))
        self.waiting.clear()

    # How it works.

    def _cut(self, dim: Dim, bounds: Sequence[int]) -> list[Dim]:
        root = dim.root
        if not bounds:
            return [root]
        if root.factors:
            return self._gather(self._cut_product(root, bounds), bounds)
        if not root.segments:
            sizes = [high - low for low, high in pairwise((0, *bounds, root.size))]
            fresh = [Dim(size, root.label) for size in sizes]
            self._refine(root, segments=fresh)
            return fresh
        pieces: list[Dim] = []
        offset = 0
        for segment in root.walk_segments():
            end = offset + segment.size
            pieces.extend(self._cut(segment, [b - offset for b in bounds if offset < b < end]))
            offset = end
        return self._gather(pieces, bounds)

    def _unify(self, left: Dim, right: Dim, where: str) -> None:
        p, q = left.root, right.root
        if p is q:
            return
        if p.is_atomic or q.is_atomic:
            if not p.is_atomic:
                p, q = q, p
            p.link(q)
            if p.block:
                self._mark(q, p.block)
            return
        if p.members or q.members:
            self.waiting.append(Clash(self.edges[-1], ((p,), (q,)), where))
        elif p.factors and q.factors:
            self._unify_products(p, q, where)
        else:
            bounds = sorted(_bounds(p) | _bounds(q))
            for a, b in zip(self._cut(p, bounds), self._cut(q, bounds), strict=True):
                self._unify(a, b, where)
        if q.root.factors:
            p.link(q)
        else:
            q.link(p)

    def _unify_products(self, p: Dim, q: Dim, where: str) -> None:
        a, b = p.walk_factors(), q.walk_factors()
        cuts = common_cuts(strides([f.size for f in a]), strides([f.size for f in b]))
        for mine, theirs in zip(
            self._factor_runs(a, cuts), self._factor_runs(b, cuts), strict=True
        ):
            if len(mine) == len(theirs) == 1:
                self._unify(mine[0], theirs[0], where)
                continue
            self.waiting.append(Clash(self.edges[-1], (tuple(mine), tuple(theirs)), where))

    def _factor_runs(self, factors: list[Dim], cuts: list[int]) -> list[list[Dim]]:
        """Group `factors` by the intervals between `cuts`, splitting those that span a cut."""
        runs: list[list[Dim]] = []
        queue = list(reversed(factors))
        for high, low in pairwise(cuts):
            run: list[Dim] = []
            room = high // low
            while room > 1:
                factor = queue.pop()
                if factor.size > room:
                    outer, inner = Dim(room, factor.label), Dim(factor.size // room, factor.label)
                    self._unify(factor, self.product((outer, inner)), "")
                    queue.append(inner)
                    factor = outer
                run.append(factor)
                room //= factor.size
            runs.append(run)
        return runs

    def _cut_product(self, root: Dim, bounds: Sequence[int]) -> list[Dim]:
        outer, *rest = root.walk_factors()
        inner = self.product(rest)
        rows: set[int] = set()
        columns: set[int] = set()
        for bound in bounds:
            row, column = divmod(bound, inner.size)
            rows |= {row, row + 1} if column else {row}
            columns |= {column}
        row_cuts = sorted(rows - {0, outer.size})
        blocks = self._cut(outer, row_cuts)
        columns_cut = self._cut(inner, sorted(columns - {0}))
        broken = {bound // inner.size for bound in bounds if bound % inner.size}
        pieces: list[Dim] = []
        for row, block in zip((0, *row_cuts), blocks, strict=True):
            pieces.extend(columns_cut if row in broken else [self.product((block, inner))])
        return pieces

    def _gather(self, pieces: Iterable[Dim], bounds: Sequence[int]) -> list[Dim]:
        """Join consecutive pieces so that one dim is left for each interval of `bounds`."""
        intervals: list[list[Dim]] = [[]]
        offset, following = 0, iter((*bounds, -1))
        bound = next(following)
        for piece in pieces:
            intervals[-1].append(piece)
            offset += piece.size
            if offset == bound:
                intervals.append([])
                bound = next(following)
        return [self.concat(interval) for interval in intervals]

    def _refine(self, root: Dim, segments: Sequence[Dim]) -> None:
        """Put an atomic root below a concatenation; what a dim was made of never changes."""
        whole = self.concat(segments)
        root.link(whole)
        if root.block:
            self._mark(whole, root.block)

    def _mark(self, dim: Dim, block: Block) -> None:
        for leaf in dim.leaves():
            if leaf.block is None or block < leaf.block:
                leaf.block = block


def _bounds(root: Dim) -> set[int]:
    """Interior boundaries of a concatenation; none for a product."""
    sizes = [segment.size for segment in root.walk_segments()]
    return set(accumulate(sizes[:-1]))
