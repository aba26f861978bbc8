"""Published figures: one place for them, and the project's page agrees with it."""

from pathlib import Path

import pytest

from co2s import model_zoo
from co2s.data.catalog import get_spec

README = Path(__file__).parents[2] / "projects" / "Co2S" / "README.md"


def test_the_six_configs():
    names = model_zoo.published_names()
    assert len(names) == 6 and set(names) < set(model_zoo.config_names())


@pytest.mark.parametrize("config", model_zoo.published_names())
def test_figures_belong_to_splits_that_exist(config):
    figures = model_zoo.published(config)
    assert figures.note == "published, not run here"
    spec = get_spec(model_zoo.get_config(config).DATASETS.TEST[0])
    assert len(figures.miou) == 8
    for method, row in figures.miou.items():
        assert set(row) == set(spec.splits.fractions), method
        assert all(40 < value < 90 for value in row.values()), method


def test_a_figure_by_hand():
    assert model_zoo.published("co2s_whdld.yaml").miou["Co2S"]["1_24"] == 61.1
    assert model_zoo.published("co2s_msl.yaml").miou["U2PL"]["1_4"] == 61.6


@pytest.mark.parametrize("config", model_zoo.published_names())
def test_the_project_s_page_shows_these_figures(config):
    figures = model_zoo.published(config)
    assert f"**{figures.title}**\n\n{figures.table()}\n" in README.read_text(encoding="utf-8")


def test_an_unknown_config_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"'quickstart\.yaml'; only for co2s_whdld\.yaml, co2s_lo"):
        model_zoo.published("quickstart.yaml")
