"""Nets as users of forks of Caffe write them, made small (`nets_of_forks`); and what they become when only the types change."""

from pathlib import Path
from typing import Any, Dict, List

from caffe_pylayers import LAYERS
from caffe_pylayers.caffe_files.prototxt import Field, Message, Word, parse, text_of

#: Which parameter a fork's layer has its options in.
PARAMS = {
    "ROIPooling": "roi_pooling_param", "SmoothL1Loss": "smooth_l1_loss_param", "Interp": "interp_param",
    "SegAccuracy": "seg_accuracy_param", "Normalize": "norm_param", "Permute": "permute_param",
    "ShuffleChannel": "shuffle_channel_param", "Upsample": "upsample_param", "GradientScaler": "gradient_scaler_param",
    "PoolingND": "pooling_param", "WingLoss": "wing_loss_param", "MarginInnerProduct": "margin_inner_product_param",
    "LargeMarginInnerProduct": "largemargin_inner_product_param", "CenterLoss": "center_loss_param", "CosinAddm": "cosin_add_m_param",
    "LabelSpecificAdd": "label_specific_add_param", "CombinedMargin": "combined_margin_param",
    "NormalizedInnerProduct": "normalized_inner_product_param", "LiftedStructSimilaritySoftmaxLoss": "lifted_struct_sim_softmax_loss_param",
}  # fmt: skip


def moved(net: str) -> str:
    """The net with `type: "Python"` for each layer that is ours, its fields in param_str; a loss gets its loss_weight."""
    return text_of(Message([_moved(field) for field in parse(net).fields]))


def _moved(field: Field) -> Field:
    layer = field.value
    if not isinstance(layer, Message) or layer.get("type") not in LAYERS:
        return field
    kind = layer.get("type")
    options = _options(layer.message(PARAMS.get(kind, "")))
    python = {"module": "caffe_pylayers", "layer": kind, **({"param_str": repr(options)} if options else {})}
    fields = [Field("type", "Python", 0), Field("python_param", _message(python), 0)]
    fields += [each for each in layer.fields if each.name not in ("type", PARAMS.get(kind))]
    if kind.endswith("Loss") and "loss_weight" not in layer:
        fields.append(Field("loss_weight", 1, 0))
    return field._replace(value=Message(fields))


def _message(values: Dict[str, Any]) -> Message:
    return Message([Field(name, value, 0) for name, value in values.items()])


def _options(param: Message) -> Dict[str, Any]:
    values: Dict[str, List[Any]] = {}
    for field in param.fields:
        values.setdefault(field.name, []).append(_option(field.value))
    return {name: each if len(each) > 1 else each[0] for name, each in values.items()}


def _option(value: Any) -> Any:
    if isinstance(value, Message):
        return _options(value)
    return {"true": True, "false": False}.get(value, str(value)) if isinstance(value, Word) else value


NETS = {path.stem: path.read_text() for path in sorted(Path(__file__).with_name("nets_of_forks").glob("*.prototxt"))}
