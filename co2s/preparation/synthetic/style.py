"""The look of a synthetic scene: season, light, sensor and layout, drawn once per scene."""

from dataclasses import dataclass

import numpy as np

LAYOUTS = ("rural", "village", "town", "riverside")

# Surface colours in 8-bit RGB. Crop and tree colours follow the season, the rest does not.
CROPS = {
    "spring": [(104, 148, 66), (138, 170, 82), (205, 195, 66), (120, 150, 90)],
    "summer": [(94, 134, 60), (168, 176, 86), (212, 196, 112), (118, 152, 70)],
    "autumn": [(196, 176, 98), (170, 168, 96), (112, 136, 66), (186, 186, 110)],
    "winter": [(150, 152, 106), (118, 140, 86), (170, 172, 120), (108, 140, 82)],
}
TREES = {
    "spring": [(82, 118, 52), (66, 108, 48), (66, 96, 48)],
    "summer": [(52, 84, 42), (66, 96, 46), (44, 72, 44)],
    "autumn": [(122, 88, 40), (150, 100, 40), (84, 84, 40)],
    "winter": [(84, 72, 62), (46, 64, 46), (94, 80, 66)],
}
SOILS = [(176, 132, 96), (196, 160, 126), (156, 108, 78), (206, 180, 150), (162, 100, 72)]
WATERS = [(42, 62, 86), (50, 80, 92), (26, 42, 68), (62, 94, 128)]
ROADS = [(96, 96, 99), (78, 78, 82), (152, 150, 146), (126, 124, 120)]
DIRT = [(176, 160, 142), (160, 146, 130)]
ROOFS = [
    (176, 74, 54),
    (196, 92, 66),
    (226, 224, 218),
    (214, 120, 84),
    (74, 106, 168),
    (150, 60, 56),
]


@dataclass(frozen=True)
class Style:
    """What all tiles of one scene share. Colours are float32 (n, 3) in 0..255."""

    layout: str
    season: str
    regular_parcels: bool  # long strips instead of irregular cells
    parcel_size: float  # pixels
    crops: np.ndarray
    trees: np.ndarray
    soils: np.ndarray
    water: np.ndarray
    road: np.ndarray
    dirt: np.ndarray
    roofs: np.ndarray
    crown: float  # distance between tree crowns, pixels
    sun: tuple[float, float]  # unit vector (y, x) away from the sun
    sun_slope: float  # height a shadow loses per pixel of its way
    gain: np.ndarray  # (3,): exposure and colour cast
    gamma: float
    haze: float  # share of sky light mixed in
    blur: float  # sigma of the sensor's point spread, pixels
    noise: float  # sigma of the sensor's noise, 8-bit steps


def draw_style(rng: np.random.Generator) -> Style:
    """Draw the style of one scene."""
    season = str(rng.choice(list(CROPS)))
    azimuth = rng.uniform(0, 2 * np.pi)
    return Style(
        layout=str(rng.choice(LAYOUTS, p=(0.3, 0.25, 0.25, 0.2))),
        season=season,
        regular_parcels=bool(rng.random() < 0.55),
        parcel_size=rng.uniform(38, 80),
        crops=_some(rng, CROPS[season], int(rng.integers(3, 6)), spread=10),
        trees=_some(rng, TREES[season], 2, spread=9),
        soils=_some(rng, SOILS, 2, spread=8),
        water=_some(rng, WATERS, 1, spread=10)[0],
        road=_some(rng, ROADS, 1, spread=10)[0],
        dirt=_some(rng, DIRT, 1, spread=8)[0],
        roofs=_some(rng, ROOFS, int(rng.integers(2, 6)), spread=8),
        crown=rng.uniform(5.5, 10.5),
        sun=(float(np.sin(azimuth)), float(np.cos(azimuth))),
        sun_slope=rng.uniform(0.55, 1.5),
        gain=(rng.uniform(0.8, 1.15) * rng.uniform(0.96, 1.04, 3)).astype(np.float32),
        gamma=rng.uniform(0.82, 1.2),
        haze=float(rng.choice([0.0, rng.uniform(0.03, 0.18)])),
        blur=rng.uniform(0.0, 0.95),
        noise=rng.uniform(1.5, 7.0),
    )


def _some(rng: np.random.Generator, colors: list, count: int, spread: float) -> np.ndarray:
    """`count` of the colours, each a little off: (count, 3) float32."""
    chosen = rng.choice(np.array(colors, np.float32), size=min(count, len(colors)), replace=False)
    shade = rng.normal(0, spread, (len(chosen), 1)) + rng.normal(0, spread / 4, chosen.shape)
    return np.clip(chosen + shade, 8, 245).astype(np.float32)
