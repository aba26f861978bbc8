"""Configuration: files, overrides, the exchange with detectron2, and mistyped keys."""

import pytest
import yaml


def write(folder, text, name="config.yaml"):
    path = folder / name
    path.write_text(text)
    return str(path)


def extended(d2):
    """The defaults and a key of ours, as add_co2s_config adds them."""
    cfg = d2.get_cfg()
    cfg.MODEL.CO2S = d2.CfgNode({"TAU": 0.95, "SCALES": (1, 2)})
    return cfg


def test_each_get_cfg_is_fresh(d2):
    d2.get_cfg().INPUT.CROP.SIZE.append(3.0)
    d2.get_cfg().SOLVER.MAX_ITER = 1
    assert d2.get_cfg().INPUT.CROP.SIZE == [0.9, 0.9]
    assert d2.get_cfg().SOLVER.MAX_ITER == 40000


def test_file_with_base_and_overrides(d2, tmp_path):
    write(tmp_path, "SOLVER: {MAX_ITER: 7, BASE_LR: 0.5}\nVERSION: 2", "base.yaml")
    path = write(tmp_path, "_BASE_: base.yaml\nSOLVER: {MAX_ITER: 9}\nVERSION: 2")
    cfg = d2.get_cfg()
    cfg.merge_from_file(path)
    cfg.merge_from_list(["DATASETS.TRAIN", "('a', 'b')", "SEED", "5"])
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR) == (9, 0.5)
    assert (cfg.DATASETS.TRAIN, cfg.SEED) == (("a", "b"), 5)
    cfg.freeze()
    with pytest.raises(AttributeError, match="immutable"):
        cfg.SEED = 6
    clone = cfg.clone()
    clone.defrost()
    clone.SEED = 6
    assert cfg.SEED == 5


def test_own_dump_loads_again(d2, tmp_path):
    cfg = extended(d2)
    cfg.MODEL.CO2S.TAU = 0.8
    again = extended(d2)
    again.merge_from_file(write(tmp_path, cfg.dump()))
    assert yaml.safe_load(again.dump()) == yaml.safe_load(cfg.dump())
    assert again.MODEL.CO2S == {"TAU": 0.8, "SCALES": (1, 2)}


@pytest.mark.parametrize("wrong", ["SOLVER: {MAX_ITR: 3}", "NO_SUCH_KEY: 1"])
def test_unknown_key_in_file(d2, tmp_path, wrong):
    with pytest.raises(KeyError):
        d2.get_cfg().merge_from_file(write(tmp_path, wrong + "\nVERSION: 2"))


def test_unknown_override(d2):
    with pytest.raises(AssertionError):
        d2.get_cfg().merge_from_list(["SOLVER.MAX_ITR", 3])
    with pytest.raises(AssertionError):
        d2.get_cfg().merge_from_list(["SOLVER.MAX_ITER"])


def test_missing_file(d2, tmp_path):
    with pytest.raises(AssertionError, match=r"nowhere\.yaml"):
        d2.get_cfg().merge_from_file(str(tmp_path / "nowhere.yaml"))


def test_new_deprecated_and_renamed_keys(d2, tmp_path):
    cfg = extended(d2)
    cfg.register_deprecated_key("MODEL.CO2S.OLD")
    cfg.register_renamed_key("MODEL.CO2S.THRESHOLD", "MODEL.CO2S.TAU")
    cfg.merge_from_file(write(tmp_path, "MODEL: {CO2S: {OLD: 1, TAU: 0.5}}\nVERSION: 2"))
    assert cfg.MODEL.CO2S == {"TAU": 0.5, "SCALES": (1, 2)}
    with pytest.raises(KeyError, match=r"renamed to MODEL\.CO2S\.TAU"):
        cfg.merge_from_file(write(tmp_path, "MODEL: {CO2S: {THRESHOLD: 1}}\nVERSION: 2"))
    cfg.MODEL.CO2S.set_new_allowed(True)
    cfg.merge_from_file(write(tmp_path, "MODEL: {CO2S: {ADDED: 1}}\nVERSION: 2"))
    assert cfg.MODEL.CO2S.ADDED == 1


def test_the_message_names_key_file_and_matches(lite, tmp_path):
    path = write(tmp_path, "SOLVER: {MAX_ITR: 3}\nMODEL: {CO2S: {TAU: 1.0, Q: 2}}")
    with pytest.raises(KeyError) as error:
        extended(lite).merge_from_file(path)
    message = str(error.value)
    assert f"in '{path}' or its _BASE_: " in message
    assert "SOLVER.MAX_ITR (did you mean SOLVER.MAX_ITER?)" in message
    assert "; MODEL.CO2S.Q. " in message


def test_the_message_finds_a_key_in_another_section(lite):
    with pytest.raises(KeyError, match=r"MAX_ITER \(did you mean SOLVER\.MAX_ITER\?\)"):
        lite.get_cfg().merge_from_list(["MAX_ITER", 3])


def test_yaml_that_runs_code_is_refused(lite, tmp_path):
    path = write(tmp_path, "SEED: !!python/object/apply:os.getpid []")
    with pytest.raises(ValueError, match="would run code"):
        lite.get_cfg().merge_from_file(path)
    cfg = lite.get_cfg()
    cfg.merge_from_file(path, allow_unsafe=True)
    assert cfg.SEED > 0


def test_other_versions_are_refused(lite, tmp_path):
    with pytest.raises(AssertionError, match="has VERSION 1, this is version 2"):
        lite.get_cfg().merge_from_file(write(tmp_path, "VERSION: 1"))


def test_object_detectors_sections_are_dropped(lite, tmp_path, log):
    """In one line of the log, also without detectron2 at hand to write such a file."""
    path = write(tmp_path, "MODEL: {RPN: {CONV_DIMS: [-1]}, MASK_ON: true, DEVICE: cpu}")
    cfg = lite.get_cfg()
    cfg.merge_from_file(path)
    assert cfg.MODEL.DEVICE == "cpu"
    assert "RPN" not in cfg.MODEL
    (record,) = log.records
    assert "MODEL.RPN, MODEL.MASK_ON" in record.getMessage()


def test_a_section_of_ours_with_a_detectors_name_is_kept(lite, tmp_path):
    cfg = lite.get_cfg()
    cfg.MODEL.FPN = lite.CfgNode({"DIM": 1})
    cfg.merge_from_file(write(tmp_path, "MODEL: {FPN: {DIM: 2}}"))
    assert cfg.MODEL.FPN.DIM == 2


def test_config_of_detectron2_loads_in_the_subset(lite, real, tmp_path):
    theirs = extended(real)
    theirs.MODEL.CO2S.SCALES = (4,)
    theirs.SOLVER.STEPS = (3, 4)
    ours = extended(lite)
    ours.merge_from_file(write(tmp_path, theirs.dump()))
    assert ours.MODEL.CO2S == theirs.MODEL.CO2S
    assert ours.SOLVER == theirs.SOLVER
    assert {**ours, "MODEL": None} == {**theirs, "MODEL": None}


def test_config_of_the_subset_loads_in_detectron2(lite, real, tmp_path):
    ours = extended(lite)
    ours.DATASETS.TEST = ("x",)
    ours.MODEL.PIXEL_STD = [2.0]
    theirs = extended(real)
    theirs.merge_from_file(write(tmp_path, ours.dump()))
    for key, value in yaml.safe_load(ours.dump()).items():
        kept = yaml.safe_load(theirs.dump())[key]
        assert kept == value or key == "MODEL"
    assert theirs.MODEL.PIXEL_STD == [2.0]
    assert theirs.MODEL.CO2S == ours.MODEL.CO2S


class TestConfigurable:
    def build(self, d2):
        class Part:
            @d2.configurable
            def __init__(self, a, b=2, *, c=3):
                self.values = (a, b, c)

            @classmethod
            def from_config(cls, cfg, scale=1):
                return {"a": cfg.SEED * scale}

        return Part

    def test_calls(self, d2):
        part, cfg = self.build(d2), d2.get_cfg()
        assert part(1, c=5).values == (1, 2, 5)
        assert part(cfg).values == (-1, 2, 3)
        assert part(cfg, a=9).values == (9, 2, 3)
        assert part(cfg=cfg, b=7).values == (-1, 7, 3)
        assert part(cfg, 4, c=9).values == (-4, 2, 9)
        assert part(cfg, scale=5).values == (-5, 2, 3)

    def test_subclass_uses_its_own_from_config(self, d2):
        class Child(self.build(d2)):
            @classmethod
            def from_config(cls, cfg, **kwargs):
                return {"a": "child", **kwargs}

        assert Child(d2.get_cfg(), c=1).values == ("child", 2, 1)

    def test_function(self, d2):
        @d2.configurable(from_config=lambda cfg, n: {"x": cfg.SEED + n})
        def f(x, y=0):
            return x, y

        assert f(3, 4) == (3, 4)
        assert f(d2.get_cfg(), 5, y=6) == (4, 6)

    def test_errors(self, d2):
        class Without:
            @d2.configurable()
            def __init__(self, a):
                pass

        class NoClassmethod(Without):
            def from_config(cls, cfg):
                return {}

        class WrongName(Without):
            @classmethod
            def from_config(cls, config):
                return {}

        with pytest.raises(AttributeError, match="from_config"):
            Without(d2.get_cfg())
        with pytest.raises(TypeError, match="classmethod"):
            NoClassmethod(d2.get_cfg())
        with pytest.raises(TypeError, match="must take 'cfg' as"):
            WrongName(d2.get_cfg())
        with pytest.raises(AssertionError):
            d2.configurable(lambda self: None)
