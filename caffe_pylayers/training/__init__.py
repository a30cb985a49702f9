"""Training a solver in Python: an iteration at a time, with a log, a plot, and snapshots to go on from.

In a notebook::

    training = Training("solver.prototxt")
    for row in training:
        print(row.iteration, row.loss, row.outputs)
"""

from caffe_pylayers.training.log import TrainingLog, read_log
from caffe_pylayers.training.loop import Row, Training
from caffe_pylayers.training.plot import plot_log

__all__ = ["Row", "Training", "TrainingLog", "plot_log", "read_log"]
