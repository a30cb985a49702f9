"""The option `datasets`: what the data sets of HDF5 are called."""

from typing import Optional

from pydantic import Field

from caffe_pylayers.config.schema import Options


class Datasets(Options):
    """Names of data sets of an HDF5 source; in a group as 'train/X'."""

    data: Optional[str] = Field(None, description="The data set with the images; none: `data`.")
    label: Optional[str] = Field(None, description="The data set with the labels; none: `label`, if there is one.")
    sample_weight: Optional[str] = Field(
        None, description="The data set with the sample weights; none: `sample_weight`, if there is one."
    )
    name: Optional[str] = Field(
        None, description="The data set with the names of the records; none: `name`, if there is one."
    )
