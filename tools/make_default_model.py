#!/usr/bin/env python3
"""Writes the shipped model: fp16 initializers, each with a Cast to fp32, and metadata.

  tools/make_default_model.py TRAINED.onnx TRAINED.json models/skin7-b0.onnx [--check PHOTO_DIR]

TRAINED.onnx is the fp32 model as exported after training, TRAINED.json its facts (labels, input,
temperature, gate). The keys are those of docs/model-format.md. With --check, every picture under
PHOTO_DIR goes through both files in ONNX Runtime and the differences are printed.

Needs: pip install onnx numpy (and onnxruntime pillow for --check). The output depends on the
inputs alone: no date, no host, no version of a tool is written into it.
"""

import argparse
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VERSION = "1.0.0"
LICENSE = "Research and demonstration only, non-commercial (the training photos' terms)"
DESCRIPTION = (
    "EfficientNetV2-B0 for seven groups of skin conditions, fine-tuned from ImageNet weights; "
    "research and demonstration only, not a medical device"
)
LIMITS = [
    {
        "en": "It knows seven classes. Melanoma and other cancers are not among them and will be "
        "given one of the seven names.",
        "vi": "Mô hình chỉ biết bảy nhóm. U hắc tố và các ung thư khác không nằm trong số đó và sẽ "
        "bị gán một trong bảy tên này.",
    },
    {
        "en": "Source and class are confounded in its training photos: expect an accuracy near 0.71, "
        "not the 0.84 measured over all sources.",
        "vi": "Nguồn ảnh và nhóm bệnh bị lẫn với nhau trong dữ liệu huấn luyện: độ chính xác thực tế "
        "gần 0,71 chứ không phải 0,84.",
    },
    {
        "en": "Healthy skin was taught from 85 photos; warts and viral infections are mostly "
        "molluscum, herpes and zoster.",
        "vi": "Da khỏe mạnh chỉ được học từ 85 ảnh; nhóm nhiễm virus chủ yếu là u mềm lây, herpes và "
        "zona.",
    },
    {
        "en": "Skin tone was not recorded; light skin dominates; fairness is unmeasured.",
        "vi": "Màu da không được ghi lại; da sáng chiếm đa số; tính công bằng chưa được đo.",
    },
    {
        "en": "The gate separates unknown conditions only weakly (AUROC 0.75 on phone photos, "
        "0.50 on dermoscopy). It is no safety net.",
        "vi": "Bộ lọc chỉ phân biệt yếu các bệnh lạ (AUROC 0,75 với ảnh điện thoại, 0,50 với ảnh soi "
        "da). Đây không phải là lưới an toàn.",
    },
]


def metadata(facts):
    """The metadata_props of docs/model-format.md, from the training run's facts."""
    as_json = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    labels = sorted(facts["labels"], key=lambda label: label["id"])
    return {
        "dermlens.name": facts["model"],
        "dermlens.version": VERSION,
        "dermlens.labels": as_json([{k: label[k] for k in ("key", "en", "vi")} for label in labels]),
        "dermlens.input": facts["input"]["name"],
        "dermlens.output": facts["output"]["name"],
        "dermlens.layout": facts["input"]["layout"],
        "dermlens.size": as_json(facts["input"]["size"]),
        "dermlens.color": facts["input"]["color"],
        "dermlens.resize": "lanczos",
        "dermlens.scale": repr(1 / 255),
        "dermlens.mean": as_json(facts["input"]["mean"]),
        "dermlens.std": as_json(facts["input"]["std"]),
        "dermlens.softmax": "inside" if facts["output"]["softmax"] else "outside",
        "dermlens.temperature": repr(facts["temperature"]),
        "dermlens.layer": "auto",
        "dermlens.gate": as_json(
            {"score": "energy", "threshold": facts["gate"]["threshold_keeps_95_percent_of_val"]}
        ),
        "dermlens.description": DESCRIPTION,
        "dermlens.limits": as_json(LIMITS),
        "dermlens.license": LICENSE,
    }


def store_as_fp16(model, keep_vectors):
    """Replaces each fp32 initializer by an fp16 one and a Cast that yields the old name."""
    casts, kept = [], []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or (keep_vectors and values.ndim < 2):
            kept.append(tensor)
            continue
        half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise SystemExit(f"{tensor.name}: a value does not fit into fp16")
        kept.append(numpy_helper.from_array(half, tensor.name + ".fp16"))
        casts.append(
            helper.make_node("Cast", [tensor.name + ".fp16"], [tensor.name],
                             name=tensor.name + ".cast", to=TensorProto.FLOAT)
        )
    nodes = casts + list(model.graph.node)
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)


def preprocess(path, facts):
    from PIL import Image, ImageOps

    height, width = facts["input"]["size"]
    with Image.open(path) as picture:
        upright = ImageOps.exif_transpose(picture).convert("RGB")
    pixels = np.asarray(upright.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    mean, std = (np.array(facts["input"][k], np.float32) for k in ("mean", "std"))
    return np.ascontiguousarray(((pixels / 255 - mean) / std).transpose(2, 0, 1)[None])


def softmax(logits, temperature):
    powers = np.exp((logits - logits.max()) / temperature)
    return powers / powers.sum()


def check(original, written, facts, folder):
    """Prints how far the written file's logits and probabilities are from the original's."""
    import onnxruntime

    pictures = sorted(p for p in pathlib.Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".png"))
    if not pictures:
        raise SystemExit(f"no pictures under {folder}")
    sessions = [onnxruntime.InferenceSession(str(p), providers=["CPUExecutionProvider"])
                for p in (original, written)]
    worst_logit, worst_probability, agree = 0.0, 0.0, 0
    for picture in pictures:
        tensor = preprocess(picture, facts)
        a, b = (s.run(None, {facts["input"]["name"]: tensor})[0][0] for s in sessions)
        worst_logit = max(worst_logit, float(np.abs(a - b).max() / np.abs(a).max()))
        p, q = (softmax(v, facts["temperature"]) for v in (a, b))
        worst_probability = max(worst_probability, float(np.abs(p - q).max()))
        agree += int(a.argmax() == b.argmax())
    print(f"{len(pictures)} pictures: largest logit difference {worst_logit:.2e} of the largest logit, "
          f"largest probability change {worst_probability:.2e}, top-1 agreement {agree}/{len(pictures)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("facts")
    parser.add_argument("output")
    parser.add_argument("--check", metavar="PHOTO_DIR")
    parser.add_argument("--vectors-too", action="store_true",
                        help="store biases as fp16 as well (0.2 MB smaller, less exact)")
    arguments = parser.parse_args()

    facts = json.loads(pathlib.Path(arguments.facts).read_text(encoding="utf-8"))
    model = onnx.load(arguments.model)
    store_as_fp16(model, keep_vectors=not arguments.vectors_too)
    # The exporter left the batch dimension of the output open although the input's is 1.
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    helper.set_model_props(model, metadata(facts))
    model.doc_string = ""
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, arguments.output)
    size = pathlib.Path(arguments.output).stat().st_size
    print(f"{arguments.output}: {size} bytes", file=sys.stderr)
    if arguments.check:
        check(arguments.model, arguments.output, facts, arguments.check)


if __name__ == "__main__":
    main()
