"""The look of a synthetic scene: season, light, sensor and layout, drawn once per scene."""

from dataclasses import dataclass

import numpy as np

LAYOUTS = ("rural", "village", "town", "riverside")

# Surface colours in 8-bit RGB. Crop and tree colours follow the season, the rest does not.
CROPS = {
    "spring": [(104, 142, 66), (138, 165, 82), (205, 190, 66), (128, 122, 80), (152, 128, 96)],
    "summer": [(94, 124, 60), (158, 160, 86), (202, 182, 118), (118, 142, 70), (176, 152, 98)],
    "autumn": [(186, 162, 108), (140, 112, 76), (102, 120, 66), (166, 142, 86), (120, 98, 72)],
    "winter": [(150, 140, 106), (118, 126, 86), (174, 166, 136), (108, 128, 82), (130, 112, 88)],
}
TREES = {
    "spring": [(82, 118, 52), (108, 138, 68), (66, 96, 48)],
    "summer": [(52, 84, 42), (66, 96, 46), (44, 72, 44)],
    "autumn": [(122, 98, 46), (150, 104, 44), (84, 94, 46), (166, 122, 52)],
    "winter": [(96, 86, 74), (46, 64, 46), (112, 102, 84)],
}
SOILS = [(166, 132, 96), (190, 166, 132), (142, 104, 78), (204, 190, 164), (152, 98, 72)]
WATERS = [(42, 62, 76), (50, 80, 70), (86, 94, 74), (26, 42, 58), (104, 102, 82), (62, 94, 118)]
ROADS = [(96, 96, 99), (70, 70, 74), (172, 168, 160), (130, 124, 118)]
DIRT = [(166, 142, 112), (146, 120, 92)]
ROOFS = [
    (166, 84, 64),
    (186, 102, 76),
    (132, 130, 128),
    (84, 84, 90),
    (218, 216, 210),
    (126, 98, 78),
    (84, 106, 148),
    (122, 140, 128),
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
        crops=_some(rng, CROPS[season], int(rng.integers(3, 6)), spread=16),
        trees=_some(rng, TREES[season], 2, spread=9),
        soils=_some(rng, SOILS, 2, spread=12),
        water=_some(rng, WATERS, 1, spread=10)[0],
        road=_some(rng, ROADS, 1, spread=10)[0],
        dirt=_some(rng, DIRT, 1, spread=14)[0],
        roofs=_some(rng, ROOFS, int(rng.integers(2, 6)), spread=14),
        crown=rng.uniform(5.5, 10.5),
        sun=(float(np.sin(azimuth)), float(np.cos(azimuth))),
        sun_slope=rng.uniform(0.55, 1.5),
        gain=(rng.uniform(0.74, 1.2) * rng.uniform(0.94, 1.06, 3)).astype(np.float32),
        gamma=rng.uniform(0.82, 1.2),
        haze=float(rng.choice([0.0, rng.uniform(0.03, 0.26)])),
        blur=rng.uniform(0.0, 0.95),
        noise=rng.uniform(1.5, 7.0),
    )


def _some(rng: np.random.Generator, colors: list, count: int, spread: float) -> np.ndarray:
    """`count` of the colours, each a little off: (count, 3) float32."""
    chosen = rng.choice(np.array(colors, np.float32), size=min(count, len(colors)), replace=False)
    shade = rng.normal(0, spread, (len(chosen), 1)) + rng.normal(0, spread / 4, chosen.shape)
    return np.clip(chosen + shade, 8, 245).astype(np.float32)
