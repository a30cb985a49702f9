"""What to do about labels that a layer cannot take."""

from typing import Any


def instead_of_label(options: Any, label: float, num_classes: int, target: bool) -> str:
    """The remedy for a label that is no number of a class, or for a target that is not 0 or 1; "" where none is known."""
    if "ignore_label" not in type(options).model_fields or not label.is_integer():
        return ""
    number, given, remedies = int(label), options.ignore_label, []
    if given is None or isinstance(given, tuple):  # one number that is given is not to be replaced
        every = number if given is None else [*given, number]
        remedies.append(f"'ignore_label': {every} leaves out what has this label")
    if number >= num_classes and not target:
        remedies.append(f"if it is a class, there must be {number + 1} of them")
    return "; ".join(remedies)
