"""The bottoms of the layers that are described."""

#: Blobs of the layers to copy: eight samples, ten classes.
SHAPES = {
    "label": (8,), "sim": (8,), "H": (1, 1, 10, 10), "sample_weight": (8,), "margin": (8,), "triplets": (8, 3),
}  # fmt: skip
