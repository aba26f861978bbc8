"""load_cfg: what is given stays, what is left open is filled in, what nothing reads is refused."""

import pytest
import yaml

from co2s.config import get_co2s_cfg
from co2s.engine import load_cfg
from co2s.engine.report import options


@pytest.fixture
def write(tmp_path):
    """A function (name, content) that writes a YAML file and returns its path."""

    def file(name, content):
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return file


def epochs(toy_cfg, complete, *opts):
    """12 of 16 images are unlabelled, two of them in a batch: an epoch has 6 steps."""
    toy_cfg.SOLVER.EPOCHS = 3
    toy_cfg.SOLVER.MAX_ITER = get_co2s_cfg().SOLVER.MAX_ITER  # not given
    toy_cfg.SOLVER.CHECKPOINT_PERIOD = get_co2s_cfg().SOLVER.CHECKPOINT_PERIOD
    cfg = complete(toy_cfg, *opts, training=True)
    return cfg.SOLVER.MAX_ITER, cfg.SOLVER.CHECKPOINT_PERIOD, cfg.TEST.EVAL_PERIOD


def test_epochs_become_steps_and_periods(toy_cfg, complete):
    assert epochs(toy_cfg, complete) == (18, 6, 6)


@pytest.mark.parametrize(
    ("opts", "expected"),
    [
        (("SOLVER.CHECKPOINT_PERIOD", 4), (18, 4, 6)),
        (("TEST.EVAL_PERIOD", 0), (18, 6, 0)),
        (("SOLVER.MAX_ITER", 5), (5, 5000, 0)),
        (("SOLVER.EPOCHS", 2), (12, 6, 6)),
    ],
)
def test_what_is_given_is_not_overridden(toy_cfg, complete, opts, expected):
    assert epochs(toy_cfg, complete, *opts) == expected


@pytest.mark.parametrize(("given", "expected"), [([], 6), ([4], 4)])
def test_a_method_s_periods_are_epochs(toy_cfg, complete, given, expected):
    for method, key in (("DWL", "PERIOD"), ("U2PL", "WARMUP")):
        opts = ["MODEL.META_ARCHITECTURE", method]
        opts += [f"MODEL.{method}.{key}", *given] if given else []
        assert complete(toy_cfg, *opts, training=True).MODEL[method][key] == expected
    opts = ["MODEL.META_ARCHITECTURE", "U2PL", "MODEL.U2PL.WARMUP", 0]
    assert complete(toy_cfg, *opts, training=True).MODEL.U2PL.WARMUP == 0


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [
        ("MUCA", [], 0.99),
        ("RSMTDF", [], 0.996),
        ("U2PL", [], 0.99),
        ("UniMatchV2", [], 0.996),
        ("UniMatchV2", [0.9], 0.9),
        ("UniMatchV2", [0.0], 0.0),
        ("WSCL", [], 0.0),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_a_method_that_lives_by_an_average_has_one(
    toy_cfg, complete, method, given, expected, training
):
    notes = []
    opts = ["MODEL.META_ARCHITECTURE", method]
    opts += ["MODEL.EMA_DECAY", *given] if given else []
    cfg = complete(toy_cfg, *opts, training=training, notes=notes)
    assert expected == cfg.MODEL.EMA_DECAY
    assert any(f"EMA_DECAY {expected}: {method}" in note for note in notes) == (
        bool(expected) and not given
    )


def test_epochs_and_steps_in_one_place_contradict_each_other(toy_cfg, complete):
    with pytest.raises(ValueError, match=r"both SOLVER.EPOCHS 3 and SOLVER.MAX_ITER 5"):
        epochs(toy_cfg, complete, "SOLVER.EPOCHS", 3, "SOLVER.MAX_ITER", 5)


def test_a_file_goes_before_its_base(toy_cfg, write, complete):
    base = write("base.yaml", {"SOLVER": {"EPOCHS": 80}})
    toy_cfg.SOLVER.MAX_ITER = 7
    notes = []
    path = write("given.yaml", {"_BASE_": base, "SOLVER": {"MAX_ITER": 7}})
    opts = ["DATASETS.LABELED", toy_cfg.DATASETS.LABELED, "MODEL.NUM_CLASSES", 2]
    cfg = load_cfg(path, opts, training=True, notes=notes)
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.EPOCHS) == (7, 0)
    assert any("SOLVER.EPOCHS 80 is not used" in note for note in notes)


def test_what_is_loaded_loads_again_to_the_same(toy_cfg, complete, write):
    toy_cfg.SEED = -1
    toy_cfg.SOLVER.EPOCHS, toy_cfg.SOLVER.MAX_ITER = 3, 40000
    cfg = complete(toy_cfg, training=True)
    again = load_cfg(write("config.yaml", cfg.dump()), training=True)
    assert options(again) == options(cfg) and again.is_frozen()
    assert again.SEED >= 0 and again.MODEL.NUM_CLASSES == 2


def test_a_drawn_seed_stays_on_resume(toy_cfg, complete, tmp_path):
    toy_cfg.SEED = -1
    first = complete(toy_cfg, training=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "config.yaml").write_text(first.dump())
    assert complete(toy_cfg, training=True, resume=True).SEED == first.SEED
    others = {complete(toy_cfg, training=True).SEED for _ in range(3)}
    assert others != {first.SEED}


def test_missing_data_stops_before_a_model_is_built(toy_cfg, complete, tmp_path):
    toy_cfg.DATASETS.ROOT = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        complete(toy_cfg, training=True)


def test_the_crop_nobody_gave_rounds_to_whole_patches(toy_cfg, complete):
    toy_cfg.INPUT.CROP_SIZE = 512  # the default
    toy_cfg.MODEL.LOCAL.BACKBONE.MODEL = "vit_base_patch14_dinov2"
    toy_cfg.MODEL.LOCAL.BACKBONE.PATCH_SIZE = 0
    notes = []
    assert complete(toy_cfg, notes=notes).INPUT.CROP_SIZE == 518
    assert any("512 -> 518: whole patches of 14 pixels for MODEL.LOCAL" in n for n in notes)
    given = complete(toy_cfg, "INPUT.CROP_SIZE", 512, notes=notes)
    assert given.INPUT.CROP_SIZE == 512, "it is padded"
    alone = complete(toy_cfg, "MODEL.STUDENTS", "('global',)")
    assert alone.INPUT.CROP_SIZE == 512, "the node that nobody uses has no say"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"INPUT": {"CROPSIZE": 3}}, r"INPUT.CROPSIZE \(did you mean INPUT.CROP_SIZE\?\)"),
        ({"DATASETS": {"TRAIN": ["x"]}}, r"DATASETS.TRAIN \(set DATASETS.LABELED"),
        (
            {"SOLVER": {"LR_SCHEDULER_NAME": "WarmupCosineLR"}},
            r"LR_SCHEDULER_NAME \(set SOLVER.SCH",
        ),
        ({"TEST": {"AUG": {"ENABLED": True}}}, "TEST.AUG.ENABLED: nothing here reads that"),
        ({"SOLVER": {"MOMENTUM": 0.8}}, "given.yaml sets SOLVER.MOMENTUM"),
        ({"MODEL": {"CO2S": {"FUSION": "mean"}}}, r"MODEL.CO2S.FUSION \(set MODEL.FUSION\)"),
        ({"INPUT": {"FORMAT": "BGR"}}, 'INPUT.FORMAT is "BGR"'),
        ({"MODEL": {"META_ARCHITECTURE": "Co2s"}}, r"'Co2s'; known are .*'Co2S'"),
        ({"MODEL": {"STUDENTS": []}}, "MODEL.STUDENTS must be names of one student or several"),
        ({"MODEL": {"STUDENTS": ["backbone"]}}, "no other section of MODEL"),
        ({"SOLVER": {"MAX_ITER": "many"}}, "SOLVER.MAX_ITER"),
        ("MODEL: [unclosed", "given.yaml is no YAML"),
        ("A: !!python/object/apply:os.getpid []", "would run code"),
        ("_BASE_: nowhere.yaml", r"nowhere.yaml, the _BASE_ of .*given.yaml is missing"),
        ("- a list", "must hold keys, found"),
    ],
)
def test_wrong_files_are_refused_by_name(write, content, words):
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        load_cfg(write("given.yaml", content), ["MODEL.NUM_CLASSES", 2])


def test_code_in_a_base_does_not_run(write, tmp_path):
    trace = tmp_path / "ran"
    write("base.yaml", f"A: !!python/object/apply:os.mkdir [{trace}]")
    with pytest.raises(ValueError, match=r"base.yaml holds YAML that would run code"):
        load_cfg(write("given.yaml", "_BASE_: base.yaml"))
    assert not trace.exists()


def test_an_option_without_a_value():
    with pytest.raises(ValueError, match="pairs of KEY VALUE"):
        load_cfg("", ["SEED"])


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"MODEL\.WEIGHTS 'none\.pth': no such file"):
        load_cfg("", ["MODEL.WEIGHTS", "none.pth", "MODEL.NUM_CLASSES", 2])


def test_a_third_student_has_a_node_of_its_own(write):
    names = ["global", "local", "third"]
    content = {"MODEL": {"NUM_CLASSES": 2, "STUDENTS": names, "THIRD": {"HEAD": {"DIM": 16}}}}
    cfg = load_cfg(write("given.yaml", content))
    assert (cfg.MODEL.THIRD.HEAD.DIM, cfg.MODEL.LOCAL.HEAD.DIM) == (16, 128)
