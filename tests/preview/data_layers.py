"""Data layers that are previewed."""

#: Stock Caffe's.
DATA = (
    'layer {{ name: "in" type: "Data" top: "data" top: "label" data_param {{ source: "{folder}/lmdb" backend: LMDB '
    "batch_size: 10 }} transform_param {{ {transform} }} }}"
)


def of_photos(photos, **more):
    return {"source": photos.csv, "root": str(photos.folder), "batch_size": 12, "resize": [40, 48], **more}
