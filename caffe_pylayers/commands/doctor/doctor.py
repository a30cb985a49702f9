"""What a newcomer trips over: this Python and its packages, Caffe, the `caffe` program, the machine.

It needs neither Caffe nor NumPy; whatever may crash is tried in a process of its own.
"""

from typing import Iterator

from caffe_pylayers.commands.doctor import machine, program, pycaffe, python_side
from caffe_pylayers.commands.doctor.finding import ERROR, LEVELS, NOTE, OK, WARNING, Finding

__all__ = ["ERROR", "LEVELS", "NOTE", "OK", "WARNING", "Finding", "examine"]

#: What is looked at, in order; a new examination is one function and one line here.
EXAMINATIONS = (
    python_side.python,
    python_side.package,
    python_side.variables,
    pycaffe.import_caffe,
    program.caffe_program,
    python_side.packages,
    python_side.optional,
    machine.cores,
    machine.memory,
    machine.open_files,
    machine.folders,
    machine.gpu,
)


def examine() -> Iterator[Finding]:
    """Look at one thing after the other; each finding as soon as it is there."""
    for examination in EXAMINATIONS:
        yield from examination()
