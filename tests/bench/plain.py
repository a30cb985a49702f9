"""A triplet layer as the older ones work, for comparison.

All files in memory; a sample at a time, decoded and resized by Pillow, to float, turned, mean taken off, gathered in lists; a
batch in `reshape` too, which Caffe calls before every forward, so that every second batch is thrown away.
"""

import io
import random
from pathlib import Path
from typing import Any, List

import caffe
import numpy as np
from PIL import Image

from tests.bench.nets import BATCH, MEAN, SIZE


class PlainTripletLayer(caffe.Layer):
    def setup(self, bottom: Any, top: Any) -> None:
        folder = Path(self.param_str)
        rows = [line.split() for line in (folder / "list.txt").read_text().splitlines()]
        self._files = [(folder / name).read_bytes() for name, _ in rows]
        self._labels = np.array([label for _, label in rows])
        self._random = random.Random(0)

    def reshape(self, bottom: Any, top: Any) -> None:
        for number, images in enumerate(self._batch()):
            top[number].reshape(*images.shape)

    def forward(self, bottom: Any, top: Any) -> None:
        for number, images in enumerate(self._batch()):
            top[number].data[...] = images

    def backward(self, top: Any, propagate_down: Any, bottom: Any) -> None:
        pass

    def _batch(self) -> List[np.ndarray]:
        triplets = [[self._image(record) for record in self._triplet()] for _ in range(BATCH)]
        return [np.array(images) for images in zip(*triplets)]

    def _triplet(self) -> List[int]:
        anchor = self._random.randrange(len(self._files))
        same = self._labels == self._labels[anchor]
        return [anchor, self._random.choice(np.flatnonzero(same)), self._random.choice(np.flatnonzero(~same))]

    def _image(self, record: int) -> np.ndarray:
        image = Image.open(io.BytesIO(self._files[record])).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        planes = np.array(image).astype(np.float32)[:, :, ::-1].transpose(2, 0, 1)
        return planes - np.array(MEAN, np.float32)[:, None, None]
