"""Packages of the distribution; everything else about it is in setup.cfg."""

from setuptools import find_packages, setup

setup(
    # The configs lie at the top of the checkout, where a reader looks for them, and inside
    # co2s.model_zoo once installed, where get_config_file looks for them.
    packages=[*find_packages(include=["co2s", "co2s.*"]), "co2s.model_zoo.configs"],
    package_dir={"co2s.model_zoo.configs": "configs"},
)
