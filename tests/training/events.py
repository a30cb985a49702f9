"""Files of events, read by TensorBoard's own reader."""

import logging
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

logging.getLogger("tensorboard").setLevel(logging.ERROR)  # what it has to say of a purge


def shown(folder) -> dict:
    """What TensorBoard shows of a folder: steps and numbers by tag, all of them."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    reader.Reload()
    tags = reader.Tags()
    numbers = {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in tags["scalars"]}
    for tag in tags["tensors"]:
        numbers[tag] = [(each.step, tensor_util.make_ndarray(each.tensor_proto).item()) for each in reader.Tensors(tag)]
    return numbers
