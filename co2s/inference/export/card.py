"""The model card of a bundle, README.md in Hugging Face's form."""

import json
from collections.abc import Mapping
from typing import Any

import yaml

from co2s.tables import text_table

from .facts import Facts
from .parity import LIMIT
from .windows import Windows

OTHER = "other"  # Hugging Face's word for a licence that is none of its list
UNSTATED = (
    "Whoever exported this model has named no licence: ask before you use it. Those of the "
    "training data and of the pretrained weights hold for it, too."
)
STATED = "`{}`. The licences of the training data and of the pretrained weights hold for it, too."
USE_ONNX = """
In QGIS: load `model.onnx` in the plug-in Deepness; what it asks for is in the file. In Python:

```python
import numpy, onnxruntime
session = onnxruntime.InferenceSession("model.onnx")
images = numpy.zeros((1, {bands}, {tile}, {tile}), numpy.float32)  # 8-bit values / 255
probabilities = session.run(None, {{"images": images}})[0]
classes = probabilities.argmax(axis=1)
```

`model_static.onnx` is the same for one image at a time, all shapes constant.
"""
USE_PT2 = """
With PyTorch alone:

```python
model = torch.export.load("model.pt2").module()
probabilities = model(images)  # (B, {bands}, {tile}, {tile}), 8-bit values / 255
```
"""
USE_SAFETENSORS = """
With co2s:

```python
from co2s.inference.export import load_bundle
cfg, model, dataset = load_bundle(".")
probabilities = model.inference([{{"image": image}}])[0]["sem_seg"]  # image (C, H, W) in 0..255
```
"""
USES = {"onnx": USE_ONNX, "pt2": USE_PT2, "safetensors": USE_SAFETENSORS}


def card(
    name: str,
    facts: Facts,
    license_name: str,
    results: Mapping[str, Mapping[str, Any]],
    windows: Windows,
    formats: tuple[str, ...],
) -> str:
    """The text of README.md; results: of every file, as `parity.compare` gives them."""
    uses = "".join(text for kind, text in USES.items() if kind in formats)
    stated = STATED.format(license_name) if license_name else UNSTATED
    return (
        f"---\n{_front_matter(license_name, formats)}---\n\n# {name}\n\n{_about(facts)}\n"
        f"## Classes\n\n{_classes(facts)}\n\n"
        f"## Input and output\n\n{_ends(facts)}\n"
        f"## Use\n{uses.format(bands=facts.bands, tile=facts.tile)}\n"
        f"## How near the files come to the model\n\n{_parity(results, windows)}\n"
        f"## Licence\n\n{stated}\n"
    )


def _front_matter(license_name: str, formats: tuple[str, ...]) -> str:
    tags = ["co2s", "semantic-segmentation", "remote-sensing", "semi-supervised"]
    content = {
        "license": license_name or OTHER,
        "library_name": "co2s",
        "pipeline_tag": "image-segmentation",
        "tags": [*tags, *({"onnx"} & {*formats})],
    }
    return yaml.safe_dump(content, sort_keys=False)


def _about(facts: Facts) -> str:
    rows = [
        [student, network, facts.pretrained.get(student) or "nothing: random weights"]
        for student, network in facts.networks.items()
    ]
    which = "Its students, fused, have" if len(rows) > 1 else "Its network has"
    return (
        "Semantic segmentation of remote-sensing images, trained semi-supervised with co2s "
        f"{facts.version} (method {facts.method}) on the dataset {facts.carried.name}. "
        f"{which} {facts.parameters:,} parameters.\n\n"
        + text_table(rows, ["student", "network", "started from"])
        + "\n"
    )


def _classes(facts: Facts) -> str:
    rows = [[e.name, e.value, "#" + "".join(f"{c:02x}" for c in e.color)] for e in facts.classes]
    return text_table(rows, ["class", "value", "colour"])


def _ends(facts: Facts) -> str:
    resolution = facts.centimetres
    ground = f"{resolution:g} cm" if resolution else "no known distance"
    text = (
        f"`images` (B, {facts.bands}, {facts.tile}, {facts.tile}), float32: the bands "
        f"{', '.join(facts.band_names)}, 8-bit values divided by 255. A pixel covers {ground} on "
        f"the ground. `probabilities` (B, {len(facts.classes)}, {facts.tile}, {facts.tile}), "
        "float32: softmax, fusion and temperatures are inside.\n"
    )
    if facts.scale != 1:
        text += f"The networks see the tile {facts.scale:g} times as large; the resize is inside.\n"
    if facts.bands != len("RGB"):
        text += (
            f"It takes {facts.bands} bands. GeoDeep gives a model three, so it cannot run this "
            "one; Deepness, onnxruntime and co2s can.\n"
        )
    raster = facts.carried.to_dict()["raster"]
    if raster is not None and raster["scale"] is not None:
        how = json.dumps({key: value for key, value in raster["scale"].items() if value})
        text += f"Files with other values become 8-bit first: `{how}`. co2s does so by itself.\n"
    return text


def _parity(results: Mapping[str, Mapping[str, Any]], windows: Windows) -> str:
    rows = [
        [f"`{file}`", f"{found['largest_difference']:.1e}", f"{100 * found['equal_classes']:.4f} %"]
        for file, found in results.items()
    ]
    return (
        text_table(rows, ["file", "largest difference", "equal classes"], disable_numparse=True)
        + f"\n\nOf probabilities, in float32, on {len(windows.images)} windows "
        f"{windows.source}. More than {LIMIT} is not given away. {_ties(results)}\n"
    )


def _ties(results: Mapping[str, Mapping[str, Any]]) -> str:
    ties = max((found["ties"] for found in results.values()), default=0)
    if not ties:
        return "Every pixel counts."
    return (
        f"{ties} pixels, where two students are equally sure and rounding decides whose word "
        "counts, are left out of the difference."
    )
