"""projects/Co2S/configs/as_released.yaml: the release's switches, and nothing else."""

from pathlib import Path

from co2s import model_zoo
from co2s.config import get_co2s_cfg
from co2s.model_zoo.authors import released

CONFIG = Path(__file__).parents[2] / "projects" / "Co2S" / "configs" / "as_released.yaml"
SWITCHES = {
    "DATALOADER.CUTMIX_PARTNER": "same",
    "MODEL.CO2S.STABILITY_GRADIENT": False,
    "MODEL.CO2S.STABILITY_PADDING": True,
    "MODEL.GLOBAL.BACKBONE.ACTIVATION": "gelu",
    "MODEL.GLOBAL.BACKBONE.LAYER_NORM_EPS": 1e-6,
    "MODEL.GLOBAL.LOGITS_SIZE": 224,
    "MODEL.LOCAL.BACKBONE.LAYER_NORM_EPS": 1e-6,
    "MODEL.LOCAL.BACKBONE.WEIGHTS": "",
    "MODEL.LOCAL.LOGITS_SIZE": 256,
    "TEST.ABSENT_AS_ZERO": True,
}


def flat(node, prefix=""):
    for key, value in node.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def load():
    cfg = get_co2s_cfg()
    cfg.merge_from_file(str(CONFIG))
    return cfg


def test_it_differs_from_its_base_in_the_switches_alone():
    found, base = dict(flat(load())), dict(flat(model_zoo.get_config("co2s_whdld.yaml")))
    expected = base | SWITCHES | {"OUTPUT_DIR": found["OUTPUT_DIR"]}
    assert found == expected
    assert found["OUTPUT_DIR"] != base["OUTPUT_DIR"], "its runs are not to be mixed with others"
    same = {key for key, value in SWITCHES.items() if base[key] == value}
    assert same <= {"MODEL.LOCAL.BACKBONE.WEIGHTS"}, "a switch that is on by default is none"


def test_its_students_are_those_of_a_converted_checkpoint():
    cfg = load()
    cfg.MODEL.GLOBAL.BACKBONE.WEIGHTS = ""  # a checkpoint brings them, and the prototypes
    for name in ("GLOBAL", "LOCAL"):
        cfg.MODEL[name].GUIDANCE.PROTOTYPES = "checkpoint"
    converted = released(model_zoo.get_config("co2s_whdld.yaml")).MODEL
    assert dict(flat(cfg.MODEL.GLOBAL)) == dict(flat(converted.GLOBAL))
    assert dict(flat(cfg.MODEL.LOCAL)) == dict(flat(converted.LOCAL))
