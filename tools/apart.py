"""Tasks in a process beside this one, which may crash."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")


def apart(
    function: Callable[[Task], Outcome],
    tasks: Sequence[Task],
    died: Callable[[Task], Outcome],
) -> Iterator[Outcome]:
    """Does one task after another in a process beside this one, a new one when that has died.

    Args:
        function: does a task; a function of a module, as the other process has to find it.
        tasks: what it is given, one after the other.
        died: the outcome of a task that took the process along.

    Yields:
        The outcomes in order.
    """
    context = multiprocessing.get_context("spawn")
    todo = list(tasks)
    while todo:
        with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
            try:
                while todo:
                    yield pool.submit(function, todo[0]).result()
                    todo.pop(0)
            except BrokenProcessPool:
                yield died(todo.pop(0))
