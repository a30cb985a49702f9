"""The bottoms of the layers that are described."""

#: Blobs of the layers to copy: eight samples, ten classes.
SHAPES = {
    "label": (8,), "sim": (8,), "H": (1, 1, 10, 10), "sample_weight": (8,), "margin": (8,), "triplets": (8, 3),
    "x": (8, 10, 6, 4), "y": (8, 10, 6, 4), "mask": (8, 10, 6, 4), "rois": (9, 5),
}  # fmt: skip
