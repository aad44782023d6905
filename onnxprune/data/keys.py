"""Which array of the data is which input of the model."""

from __future__ import annotations

from collections.abc import Sequence

from onnxprune.errors import UsageError, suggestion


def match_keys(
    keys: Sequence[str], inputs: Sequence[str], labels: str | None, where: str
) -> dict[str, str]:
    """Find each input among the arrays.

    An array belongs to the input of its name. A model with one input takes the only array that is
    not the labels, whatever its name. Where all inputs are found, further arrays are left alone:
    data sets often carry identifiers, or labels that nobody asked for.

    Args:
        keys: names of the arrays.
        inputs: names of the inputs.
        labels: name of the array that holds the labels, if there are labels.
        where: the file or function, for messages.

    Returns:
        Key by input.

    Raises:
        UsageError: an input or the labels are not there.
    """
    if labels is not None and labels not in keys:
        usual = "name the array that holds the labels (--labels)"
        raise _missing(f"the labels {labels!r}", labels, keys, where, usual)
    others = [key for key in keys if key != labels]
    missing = [name for name in inputs if name not in others]
    if not missing:
        return {name: name for name in inputs}
    if len(inputs) == len(others) == 1:
        return {inputs[0]: others[0]}
    strays = [key for key in others if key not in inputs]
    usual = "name the arrays like the inputs of the model"
    if len(inputs) == 1 and strays:
        usual = f"name it {inputs[0]!r}, or say which array holds the labels (--labels)"
    raise _missing(f"input {missing[0]!r}", missing[0], strays, where, usual)


def _missing(what: str, name: str, strays: Sequence[str], where: str, usual: str) -> UsageError:
    held = ", ".join(map(repr, strays)) or "nothing else"
    return UsageError(
        f"the data has no array for {what}",
        where=where,
        why=f"it holds {held}",
        hint=suggestion(name, strays) or usual,
    )
