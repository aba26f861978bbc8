"""RS-MTDF as a run: its frozen teachers come from files, which only training needs."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from co2s.d2 import DefaultPredictor
from co2s.inference.export import load_bundle
from co2s.inference.export.facts import facts_of
from co2s.inference.export.folder import write_config, write_weights
from co2s.inference.export.selection import select
from co2s.inference.loading import load_model
from co2s.modeling.backbone import build_backbone
from co2s.modeling.meta_arch import frozen_teacher


@pytest.fixture
def cfg(toy_cfg, tmp_path, no_pictures):
    """Both frozen teachers come from files."""
    toy_cfg.MODEL.META_ARCHITECTURE, toy_cfg.MODEL.STUDENTS = "RSMTDF", ("local",)
    toy_cfg.MODEL.RSMTDF.THRESHOLD, toy_cfg.SOLVER.MAX_ITER = 0.5, 4
    for name in ("DINO", "CLIP"):
        node = toy_cfg.MODEL.RSMTDF[name]
        file = tmp_path / "frozen" / f"{name}.safetensors"
        file.parent.mkdir(exist_ok=True)
        save_file(build_backbone(node).to_file(), file)
        node.BACKBONE.WEIGHTS = str(file)
    return toy_cfg


@pytest.fixture
def gone(monkeypatch):
    """A function (cfg): the files of the frozen teachers are gone, and no teacher can be built."""

    def remove(cfg):
        for name in ("DINO", "CLIP"):
            Path(cfg.MODEL.RSMTDF[name].BACKBONE.WEIGHTS).unlink()
        monkeypatch.setattr(frozen_teacher, "build_backbone", None)

    return remove


@pytest.fixture
def trained(cfg, train):
    """(cfg, trainer) of a run with its config.yaml; its necks do something."""
    trainer, _ = train(cfg)
    Path(cfg.OUTPUT_DIR, "config.yaml").write_text(trainer.cfg.dump())
    return trainer.cfg, trainer


def test_what_is_written_says_all_that_a_student_needs(trained, cfg):
    full, trainer = trained
    assert full.MODEL.LOCAL.NECK.DIMS == (24, 12) and cfg.MODEL.LOCAL.NECK.DIMS == ()
    assert full.MODEL.GLOBAL.NECK.DIMS == (), "no student of the run"
    assert full.MODEL.EMA_DECAY == 0.996
    assert full.MODEL.RSMTDF.CLIP.BACKBONE.ACTIVATION == "quick_gelu"
    content = torch.load(Path(full.OUTPUT_DIR, "model_final.pth"), weights_only=True)
    names = {*content["model"]}
    assert any("students.local.neck.head.tell.1" in name for name in names)
    assert names == {*trainer.method.state_dict()}
    assert len(trainer.method.frozen) == 2 and not any("frozen" in name for name in names)
    assert trainer.method.students["local"].neck.head["back"][0].weight.abs().max() > 0


def test_prediction_needs_no_frozen_teacher(trained, gone):
    full, trainer = trained
    image = torch.randint(0, 256, (3, 40, 40), generator=torch.Generator().manual_seed(0)).byte()
    expected = trainer.method.eval()([{"image": image}])[0]["sem_seg"]
    gone(full)
    folder = Path(full.OUTPUT_DIR)
    cfg, model, carried = load_model("", str(folder / "model_final.pth"))
    assert not model.frozen
    torch.testing.assert_close(model([{"image": image}])[0]["sem_seg"], expected)
    predictor = DefaultPredictor(cfg)
    found = predictor(image.permute(1, 2, 0).numpy()[..., ::-1])["sem_seg"]
    torch.testing.assert_close(found, expected)
    # An export is students alone, of no method.
    selection = select(cfg, model)
    assert selection.options["MODEL.LOCAL.NECK.DIMS"] == [24, 12]
    bundle = folder / "bundle"
    bundle.mkdir()
    write_config(bundle / "config.json", selection, facts_of(cfg, carried, selection, 16))
    write_weights(bundle / "model.safetensors", selection)
    _, exported, _ = load_bundle(bundle)
    torch.testing.assert_close(exported([{"image": image}])[0]["sem_seg"], expected)


def test_training_says_at_its_start_that_one_is_missing(trained, train, cfg, gone):
    full, _ = trained
    gone(full)
    with pytest.raises(FileNotFoundError, match=r"DINO.safetensors'?: no such file"):
        train(cfg, resume=True)


def test_a_cut_run_goes_on_exactly(cfg, train):
    whole, _ = train(cfg)
    cfg.OUTPUT_DIR += "_broken"
    train(cfg, steps=2)
    resumed, _ = train(cfg, resume=True)
    states = whole.method.state_dict(), resumed.method.state_dict()
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_bands_that_are_not_there_are_refused(cfg, complete):
    cfg.MODEL.RSMTDF.CLIP.BANDS = (0, 1, 3)
    with pytest.raises(ValueError, match=r"RSMTDF\.CLIP\.BANDS is \(0, 1, 3\).* image's 0 to 2"):
        complete(cfg)
