"""Configs by name, from a checkout; tests/test_wheel.py does the same from an installed wheel."""

from pathlib import Path

import pytest

from co2s import model_zoo

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = sorted(path.relative_to(CONFIGS).as_posix() for path in CONFIGS.rglob("*.yaml"))


def test_every_config_of_the_checkout_has_a_name() -> None:
    assert "quickstart.yaml" in SHIPPED
    assert model_zoo.config_names() == SHIPPED


@pytest.mark.parametrize("name", SHIPPED)
def test_every_config_loads(name: str) -> None:
    assert Path(model_zoo.get_config_file(name)) == CONFIGS / name
    cfg = model_zoo.get_config(name)
    assert cfg.MODEL.META_ARCHITECTURE
    assert "CO2S" in cfg.MODEL


@pytest.mark.parametrize("name", ["nothing.yaml", "../setup.cfg", "quickstart"])
def test_an_unknown_name_lists_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=r"no config named .*quickstart\.yaml"):
        model_zoo.get_config_file(name)
