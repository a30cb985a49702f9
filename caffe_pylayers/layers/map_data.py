"""The data layer of images with maps."""

from typing import Sequence

import numpy as np

from caffe_pylayers.data.recipe import Batch
from caffe_pylayers.layers.adapter import Blobs
from caffe_pylayers.layers.data_layer import DataLayer


class ImageMapDataLayer(DataLayer):
    """Images, each with a label or a value for every pixel, which go where the pixels go.

    bottoms: none.
    tops: data, float32 (B, C, H, W); label, (B, 1, H, W); with `weights` sample_weight, (B, 1, H, W); data_dim, (B, 1, 1, 2), height and width
        of each image before it was padded, at most H and W.
    errors: ConfigError for tops that do not fit the options; DataError for a source, an image or a map that cannot be used.
    With batch_size 1 and no size in the options, each image is fed at its own size: the tops are reshaped in forward.
    """

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        self._num_maps = self.recipe.form.num_maps
        self._shape_maps(top, self.recipe.shape[1:])
        if len(top) > 1 + self._num_maps:
            top[1 + self._num_maps].reshape(self.images_a_batch, 1, 1, 2)

    @property
    def _permuted(self) -> bool:
        return bool(self.options.shuffle)

    def fit(self, top: Blobs, size: Sequence[int]) -> None:
        self.give_shape(top[0], (1, self.recipe.shape[0], *size), "'max_pixels'")
        self._shape_maps(top, size)

    def _shape_maps(self, top: Blobs, size: Sequence[int]) -> None:
        for number in range(1, 1 + self._num_maps):
            self.give_shape(top[number], (self.images_a_batch, 1, *size), "'batch_size', 'resize' or 'crop_size'")

    def annotate(self, top: Blobs, batch: Batch) -> None:
        assert batch.maps is not None and batch.sizes is not None
        for number in range(self._num_maps):
            np.copyto(top[1 + number].data[:, 0], batch.maps[0, :, number])
        if len(top) > 1 + self._num_maps:
            top[1 + self._num_maps].data[:, 0, 0] = batch.sizes[0]
