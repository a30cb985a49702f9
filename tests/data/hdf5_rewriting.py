"""The remedy of HDF5 files that cannot be read where their rows lie."""

import re
import shlex
import subprocess
import sys

from caffe_pylayers.data.sources import hdf5_rewrite


def rewritten(message, monkeypatch=None):
    """The file that the command of a message writes. monkeypatch: run it in this process."""
    (command,) = re.findall("`([^`]*hdf5_rewrite [^`]*)`", message)
    if monkeypatch is None:
        subprocess.run(command, shell=True, check=True)
    else:
        _, _, _, *arguments = shlex.split(command)
        monkeypatch.setattr(sys, "argv", ["hdf5_rewrite", *arguments])
        hdf5_rewrite.main()
    return shlex.split(command)[-1]
