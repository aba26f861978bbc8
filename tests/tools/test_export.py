"""tools/export.py as a user has it: the folder whole or not at all, and what is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from co2s.data.carried import KEY
from co2s.inference.export import bundle, load_bundle

from ..inference.exports import CARRIED, NAMES, grown, images, one_student

TOOL = Path(__file__).parents[2] / "tools" / "export.py"
QUICK = ("--formats", "safetensors", "stac")  # what needs no tracing


@pytest.fixture
def run(tmp_path, monkeypatch, load_script):
    """A function (*arguments) that runs the tool on `run/model_best.pth` into `out`; its model."""
    monkeypatch.chdir(tmp_path)
    cfg, folder = one_student(), tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(cfg.dump())
    model = grown(cfg)
    torch.save({"model": model.state_dict(), KEY: CARRIED.to_dict()}, folder / "model_best.pth")
    module = load_script(TOOL)

    def export(*arguments):
        given = {"--weights": "run/model_best.pth", "--output": "out"}
        given = {key: value for key, value in given.items() if key not in arguments}
        module.main([str(x) for x in (*[y for item in given.items() for y in item], *arguments)])

    export.model = model
    return export


def content(folder):
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_the_weights_are_enough(run, capsys):
    run(*QUICK, "--license", "mit")
    said = capsys.readouterr().out
    assert "model.safetensors" in said and "drawn windows" in said and "Wrote out" in said
    assert {*content("out")} == {
        *("model.safetensors", "config.json", "README.md", "item.json", "parity.json")
    }
    x = images(1)[0]
    _, model, carried = load_bundle("out")
    assert carried == CARRIED
    found = model.inference([{"image": x}])[0]["sem_seg"]
    expected = run.model.inference([{"image": x}])[0]["sem_seg"]
    assert torch.allclose(found, expected, atol=1e-6)
    assert "license: mit" in Path("out/README.md").read_text()


def test_onnx_as_well(run):
    pytest.importorskip("onnxscript", reason="onnxscript is the extra `onnx`")
    run("--formats", "onnx", "--resolution", 30, "--tile", 24)
    from co2s.inference.export import OnnxModel

    model = OnnxModel("out/model.onnx")
    assert model.resolution == 0.3 and model.window == 24
    x = images(2, side=24)
    expected = [run.model.inference([{"image": image}])[0]["sem_seg"] for image in x]
    assert torch.allclose(model(x), torch.stack(expected), atol=1e-4)
    assert "names no licence" not in Path("out/README.md").read_text()
    assert "has named no licence" in Path("out/README.md").read_text()


def test_a_former_bundle_is_replaced_and_nothing_else(run, stops):
    run(*QUICK)
    run("--formats", "safetensors")
    assert "item.json" not in content("out")
    Path("out/mine.txt").write_text("mine")
    before = content("out")
    with stops(r"out holds mine\.txt: it is no former bundle. Name another --output"):
        run(*QUICK)
    assert content("out") == before
    with stops(r"run holds config\.yaml, model_best\.pth: it is no former bundle"):
        run(*QUICK, "--output", "run")
    Path("card").mkdir()
    Path("card/README.md").write_text("# Another project")
    with stops(r"card has no config\.json of this tool"):
        run(*QUICK, "--output", "card")
    Path("file").write_text("a file")
    with stops("file is a file"):
        run(*QUICK, "--output", "file")


@pytest.mark.parametrize("fault", ["write", "parity"])
def test_after_an_error_the_former_bundle_is_there_as_it_was(run, stops, monkeypatch, fault):
    run(*QUICK)
    before = content("out")

    def full(*args):
        raise OSError(28, "No space left on device")

    if fault == "write":
        monkeypatch.setattr(bundle, "write_item", full)
    else:
        far = {"largest_difference": 2e-4, "equal_classes": 1.0, "ties": 0}
        monkeypatch.setattr(bundle, "compare", lambda *args: far)
    with stops("No space left|differs from the model by up to 0.0002, more than 0.0001"):
        run(*QUICK, "--license", "mit")
    assert content("out") == before
    assert {path.name for path in Path().iterdir()} == {"run", "out"}


def test_real_images_are_compared_on(run):
    Path("photos").mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (50, 70, 3)), ("b.png", (20, 40, 3))):  # one is below a tile
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(f"photos/{name}")
    Path("photos/.DS_Store").write_text("")
    run(*QUICK, "--images", "photos")
    proof = json.loads(Path("out/parity.json").read_text())
    assert proof["source"] == "cut from a.png, b.png" and proof["windows"] == 4
    assert proof["files"]["model.safetensors"]["equal_classes"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--weights", "nowhere.pth"), r"nowhere\.pth.*missing"),
        (("--config-file", "nowhere.yaml"), r"nowhere\.yaml.*missing"),
        (("--student", "global"), "--student global: the model has local, and fused"),
        (("--tile", "-8"), "--tile -8: it is the side of a square"),
        (("--resolution", "0"), "--resolution 0.0: it is in centimetres per pixel"),
        (("--images", "nowhere"), "--images nowhere: no such file or folder"),
        (("--images", "run/config.yaml"), r"config\.yaml"),
        (("--formats", "stac"), "stac describes those"),
    ],
)
def test_what_cannot_be_exported_is_one_message(run, stops, arguments, words):
    quick = () if "--formats" in arguments else QUICK
    with stops(words):
        run(*quick, *arguments)
    assert not Path("out").exists()


def test_onnx_asks_for_a_resolution(run, stops):
    stored = torch.load("run/model_best.pth", weights_only=True)
    stored[KEY]["resolution"] = None
    torch.save(stored, "run/model_best.pth")
    with stops("give --resolution, in centimetres per pixel"):
        run("--formats", "onnx")
    run(*QUICK)  # these do without
    assert "gsd" not in json.loads(Path("out/item.json").read_text())["properties"]


def test_weights_of_another_class_count(run, stops):
    stored = torch.load("run/model_best.pth", weights_only=True)
    stored[KEY]["classes"] = stored[KEY]["classes"][:4]
    torch.save(stored, "run/model_best.pth")
    with stops("does not fit the model"):
        run(*QUICK)


def test_a_package_that_is_not_there_is_named(run, stops, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with stops(r"needs onnxscript, which is not installed: pip install 'co2s\[onnx\]'"):
        run("--formats", "onnx")


def test_a_folder_that_is_no_bundle(run, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run is no bundle .*has no config\.json"):
        load_bundle("run")
    run(*QUICK)
    found = json.loads(Path("out/config.json").read_text())
    assert found["id2label"] == dict(zip("012345", NAMES, strict=True))
    Path("out/model.safetensors").write_bytes(b"torn")
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        load_bundle("out")
    Path("out/model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors"):
        load_bundle("out")
    Path("out/config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ValueError, match=r"config\.json is not by tools/export\.py"):
        load_bundle("out")
