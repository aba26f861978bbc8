"""Weights that come with co2s: small enough for the package, and nothing to download."""

from pathlib import Path

FOLDER = Path(__file__).with_name("embedded")
SUFFIX = ".safetensors"


def embedded_names(backbone: str) -> list[str]:
    """The names under which a kind of backbone (a name in BACKBONE_REGISTRY) finds weights here."""
    ending = f".{backbone}{SUFFIX}"
    return sorted(p.name.removesuffix(ending) for p in FOLDER.glob(f"*{ending}"))


def embedded_file(weights: str, backbone: str) -> Path | None:
    """The file of a name, for a kind of backbone; None where there is no such name."""
    if weights not in embedded_names(backbone):
        return None
    return FOLDER / f"{weights}.{backbone}{SUFFIX}"
