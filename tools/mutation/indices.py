"""Faults of the choice of indices: what a wrong mask does to one weight of a coupling group."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from mutation.subject import Array, Cut, Draft, Site, Subject, attribute, kind, layer_axes, title

from onnxprune.coupling.axis_plan import Blocks

Choose = Callable[[Draft, list[int], list[int]], list[int]]
"""Another choice of equally many indices: of a draft, what is kept, and what is removed."""


def _other_indices(subject: Subject, choose: Choose, ranks: Sequence[int]) -> Iterator[Site]:
    for cut in subject.cuts:
        for axis, _, gone in cut.plain():
            if gone and cut.original.ndim in ranks:
                edit = partial(_rechoose, cut=cut, axis=axis, choose=choose)
                yield Site(f"{cut.name} axis {axis} of {list(cut.original.shape)}", edit)


def _rechoose(draft: Draft, cut: Cut, axis: int, choose: Choose) -> str:
    kept, gone = next((kept, gone) for found, kept, gone in cut.plain() if found == axis)
    chosen = choose(draft, kept, gone)
    draft.put(cut.name, cut.sliced({axis: tuple(chosen)}))
    changed = [(a, b) for a, b in zip(kept, chosen, strict=True) if a != b]
    if len(changed) == 1:
        return f"{changed[0][1]} in place of {changed[0][0]}"
    return f"{len(changed)} of {len(kept)} indices are others"


ANY = tuple(range(1, 8))


@kind("one wrong index kept")
def one_wrong_index(subject: Subject) -> Iterator[Site]:
    """A removed channel stays in the place of a kept one, in one weight."""

    def choose(draft: Draft, kept: list[int], gone: list[int]) -> list[int]:
        place, wrong = int(draft.rng.integers(len(kept))), int(draft.rng.choice(gone))
        return [*kept[:place], wrong, *kept[place + 1 :]]

    yield from _other_indices(subject, choose, ANY)


@kind("all kept indices off by one")
def indices_off_by_one(subject: Subject) -> Iterator[Site]:
    """A mask that is shifted against the weight, in one weight."""

    def choose(_draft: Draft, kept: list[int], gone: list[int]) -> list[int]:
        size = len(kept) + len(gone)
        return [(index + 1) % size for index in kept]

    yield from _other_indices(subject, choose, ANY)


@kind("bias left unsliced, its front taken")
def front_of_bias(subject: Subject) -> Iterator[Site]:
    """A vector is cut to length without the mask."""
    yield from _other_indices(subject, lambda _, kept, gone: list(range(len(kept))), (1,))


@kind("weight left unsliced, its front taken")
def front_of_weight(subject: Subject) -> Iterator[Site]:
    """One axis of a weight is cut to length without the mask."""
    yield from _other_indices(subject, lambda _, kept, gone: list(range(len(kept))), ANY[1:])


@kind("consumer keeps other indices than its producer")
def other_choice(subject: Subject) -> Iterator[Site]:
    """One axis of a weight keeps equally many channels, drawn anew."""

    def choose(draft: Draft, kept: list[int], gone: list[int]) -> list[int]:
        drawn = draft.rng.choice(len(kept) + len(gone), len(kept), replace=False)
        return sorted(int(index) for index in drawn)

    yield from _other_indices(subject, choose, ANY[1:])


@kind("kept indices out of order")
def out_of_order(subject: Subject) -> Iterator[Site]:
    """The right channels, last one first, in one weight."""
    yield from _other_indices(subject, lambda _, kept, gone: kept[::-1], ANY)


@kind("one group takes another group's indices")
def indices_of_another_block(subject: Subject) -> Iterator[Site]:
    """Where each block keeps indices of its own, two blocks' choices are exchanged."""
    for cut in subject.cuts:
        for axis, plan in cut.kept.items():
            if isinstance(plan, Blocks) and len(set(plan.kept)) > 1:
                edit = partial(_exchange_blocks, cut=cut, axis=axis, plan=plan)
                yield Site(f"{cut.name} axis {axis} of {list(cut.original.shape)}", edit)


def _exchange_blocks(draft: Draft, cut: Cut, axis: int, plan: Blocks) -> str:
    rows = list(plan.kept)
    first = int(draft.rng.integers(len(rows)))
    second = next(i for i in np.roll(range(len(rows)), -first) if rows[i] != rows[first])
    rows[first], rows[second] = rows[second], rows[first]
    draft.put(cut.name, cut.sliced({axis: Blocks(plan.by, tuple(rows))}))
    return f"blocks {first} and {second}"


@kind("two channels swapped in one consumer")
def swapped_inputs(subject: Subject) -> Iterator[Site]:
    """A layer reads two channels in the wrong order."""
    yield from _swapped(subject, 1)


@kind("two channels swapped in one producer")
def swapped_outputs(subject: Subject) -> Iterator[Site]:
    """A layer makes two channels in the wrong order; its bias has them right."""
    yield from _swapped(subject, 0)


def _swapped(subject: Subject, side: int) -> Iterator[Site]:
    """Layers with two channels to swap: of what they make at 0, of what they read at 1."""
    for place, operand, node, array in subject.layers():
        axis = layer_axes(node, operand, array.ndim)[side]
        if array.shape[axis] > 1:
            edit = partial(_swap, place=place, operand=operand, array=array, axis=axis)
            yield Site(f"{title(node)}, {node.input[operand]}", edit)


def _swap(draft: Draft, place: int, operand: int, array: Array, axis: int) -> str:
    first, second, order = draft.exchanged(array.shape[axis])
    draft.give(place, operand, np.take(array, order, axis=axis))
    return f"{first} and {second} of axis {axis}"


@kind("groups of a grouped convolution exchanged")
def groups_exchanged(subject: Subject) -> Iterator[Site]:
    """The rows of two groups change places."""
    for place, node in subject.nodes("Conv"):
        array, groups = subject.floats(node, 1), int(attribute(node, "group", 1))
        if array is not None and groups > 1 and len(array) % groups == 0:
            edit = partial(_exchange_groups, place=place, array=array, groups=groups)
            yield Site(title(node), edit)


def _exchange_groups(draft: Draft, place: int, array: Array, groups: int) -> str:
    first, second, order = draft.exchanged(groups)
    blocks = array.reshape(groups, -1, *array.shape[1:])[order]
    draft.give(place, 1, blocks.reshape(array.shape))
    return f"groups {first} and {second} of {groups}"


@kind("group count halved, shapes intact")
def group_count(subject: Subject) -> Iterator[Site]:
    """Half as many groups, each of which reads what two did with the weights of the one."""
    for place, node in subject.nodes("Conv"):
        array, groups = subject.floats(node, 1), int(attribute(node, "group", 1))
        if array is not None and groups % 2 == 0 and len(array) % groups == 0:
            edit = partial(_halve_groups, place=place, array=array, groups=groups)
            yield Site(title(node), edit)


def _halve_groups(draft: Draft, place: int, array: Array, groups: int) -> str:
    draft.give(place, 1, np.concatenate([array, array], axis=1) / array.dtype.type(2))
    draft.set(place, group=groups // 2)
    return f"{groups} became {groups // 2}"
