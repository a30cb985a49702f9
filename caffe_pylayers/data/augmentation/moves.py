"""Where an image is moved to: turned, scaled and shifted about its centre, and a part of it that is cut out."""

import math
from typing import NamedTuple, Optional

import numpy as np

from caffe_pylayers.data.geometry import Matrix, Rect, Size, Window, mirrored, resized, shifted, then


class Turn(NamedTuple):
    """About the centre. angle: in degrees, against the clock; factor: of the size; y, x: parts of height and width."""

    angle: float
    factor: float
    y: float
    x: float

    def matrix(self, size: Size) -> Matrix:
        """Shifted by whole pixels, as in torchvision."""
        height, width = size
        cosine, sine = (self.factor * part(math.radians(self.angle)) for part in (math.cos, math.sin))
        centre_y, centre_x = (height - 1) / 2, (width - 1) / 2
        turned = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0]])
        about = then(then(shifted(-centre_y, -centre_x), turned), shifted(centre_y, centre_x))
        return then(about, shifted(round(self.y * height), round(self.x * width)))


UNTURNED = Turn(0, 1, 0, 0)


def moved(window: Window, old: Size, turn: Optional[Turn], part: Optional[Rect]) -> Window:
    """A window after an image of that size is turned, and this part of the scaled image fills what the window would cut out."""
    if turn is None and part is None:
        return window
    if turn is None and window.scaled == old:  # which OpenCV resizes exactly, and faster
        return Window(window.size, 0, 0, window.size, window.size, window.flip, part)
    matrix = resized(old, window.scaled)
    if turn is not None:
        matrix = then(matrix, turn.matrix(window.scaled))
    if part is None:
        matrix = then(matrix, shifted(-window.y, -window.x))
    else:
        matrix = then(then(matrix, shifted(-part.y, -part.x)), resized(part.size, window.size))
    return window._replace(warp=then(matrix, mirrored(window.size[1])) if window.flip else matrix)
