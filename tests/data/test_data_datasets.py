"""The six benchmarks: their shipped files against the facts of the method's sections 4 and 6."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from co2s.data import get_records, get_spec, read_classes, set_root
from co2s.data.splits import labeled_count, validation_count

MARS_CLASSES = "Martian Soil, Sands, Gravel, Bedrock, Rocks, Tracks, Shadows, Unknown, Background"
MARS_PALETTE = "128,0,0 0,128,0 128,128,0 0,0,128 128,0,128 0,128,128 128,128,128 64,0,0 192,0,0"
CLASSES = {
    "whdld": "building, road, pavement, vegetation, bare soil, water",
    "loveda": "background, building, road, water, barren, forest, agriculture",
    "potsdam": "impervious_surface, building, low_vegetation, tree, car, clutter",
    "gid15": "industrial_land, urban_residential, rural_residential, traffic_land, paddy_field, "
    "irrigated_land, dry_cropland, garden_plot, arbor_woodland, shrub_land, natural_grassland, "
    "artificial_grassland, river, lake, pond",
    "mer": MARS_CLASSES,
    "msl": MARS_CLASSES,
}
PALETTES = {
    "whdld": "255,0,0 255,255,0 192,192,0 0,255,0 128,128,128 0,0,255",
    "loveda": "255,255,255 255,0,0 255,255,0 0,0,255 159,129,183 0,255,0 255,195,128",
    "potsdam": "255,255,255 0,0,255 0,255,255 0,255,0 255,255,0 255,0,0",
    "gid15": "200,0,0 250,0,150 200,150,150 250,150,150 0,200,0 150,250,0 150,200,150 200,0,200 "
    "150,0,250 150,150,250 250,200,0 200,200,0 0,0,200 0,150,200 0,200,250",
    "mer": MARS_PALETTE,
    "msl": MARS_PALETTE,
}
# class: all its concepts but the first, which is its name
MARS_CONCEPTS = """
Martian Soil: mars soil, red soil, martian regolith, planetary soil, extraterrestrial soil
Sands: martian sand, fine grains, loose sand, desert sand, silica sand
Gravel: martian gravel, coarse gravel, pebbles, stone fragments, rocky gravel
Bedrock: martian bedrock, solid rock, bedrock layer, parent rock, foundation rock
Rocks: martian rocks, boulders, stone blocks, rock formations, large rocks
Tracks: rover tracks, vehicle tracks, wheel tracks, trail marks, path imprints
Shadows: martian shadows, rock shadows, shadow regions, dark areas, sun shadows
Unknown: unidentified object, unknown material, ambiguous feature, unclassified, mysterious object
Background: martian background, scene background, context area, surroundings, environment background
"""
CONCEPTS = {
    "whdld": """
building: residential building, commercial building, industrial building, high-rise, low-rise
road: highway, arterial road, residential road, asphalt road, concrete road
pavement: sidewalk, pedestrian path, concrete pavement, brick pavement, stone pavement
vegetation: tree, shrub, grassland, farmland, vegetation patch
bare soil: unvegetated land, soil exposure, construction site, quarry, desert area
water: lake, river, pond, water body, water surface, reservoir
""",
    "loveda": """
background: undeveloped land, open space, background area, unclassified region
building: residential building, commercial building, industrial building, public building, high-rise
road: highway, urban road, rural road, asphalt road, concrete road
water: lake, river, pond, reservoir, water body
barren: bare soil, desert, construction site, mining area, exposed rock
forest: deciduous forest, evergreen forest, mixed forest, woodland, tree canopy
agriculture: farmland, cropland, orchard, vineyard, greenhouse
""",
    "potsdam": """
impervious_surface: asphalt, concrete, pavement, roof, sidewalk
building: residential building, commercial building, church, factory, historical building
low_vegetation: grass, lawn, meadow, pasture, flower bed
tree: deciduous tree, evergreen tree, tree row, park tree, forest edge
car: passenger car, truck, van, bus, parked vehicle
clutter: fence, wall, railway, construction site, unclassified object
""",
    "gid15": """
industrial_land: factory area, industrial park, workshop zone, warehouse area, industrial facility
urban_residential: apartment area, high-density housing, urban housing, residential block, city community
rural_residential: village housing, countryside settlement, rural homestead, low-rise rural house, scattered village
traffic_land: road network, highway, urban road, transport corridor, parking and driveway
paddy_field: rice field, paddy rice farmland, flooded field, irrigated paddy, cultivated paddy
irrigated_land: irrigated farmland, canal-irrigated field, well-irrigated cropland, watered field, intensive irrigated land
dry_cropland: rainfed cropland, dry farming field, non-irrigated farmland, upland crop field, seasonal cropland
garden_plot: orchard, vegetable garden, economic crop field, plantation, horticultural land
arbor_woodland: forest land, tree plantation, tall woodland, closed canopy forest, tree-covered area
shrub_land: bushland, scrub vegetation, low shrub area, shrub-covered slope, sparse shrub
natural_grassland: native grassland, pasture, meadow, natural herbaceous area, grazing land
artificial_grassland: man-made grassland, artificial lawn, urban green grass, reclaimed grassland, managed grass field
river: river channel, stream, watercourse, flowing water, river system
lake: water lake, inland lake, large water body, open water surface, natural lake
pond: fish pond, small water pond, artificial pond, storage pond, still water body
""",  # noqa: E501
    "mer": MARS_CONCEPTS,
    "msl": MARS_CONCEPTS,
}
# train, val, share of val, labelled counts
SIZES = {
    "whdld": (4446, 494, "1/10", {"1_24": 185, "1_16": 277, "1_8": 555, "1_4": 1111}),
    "loveda": (3771, 420, "1/10", {"1_40": 94, "1_16": 235, "1_8": 471, "1_4": 942}),
    "potsdam": (4924, 548, "1/10", {"1_32": 153, "1_16": 307, "1_8": 615, "1_4": 1231}),
    "gid15": (2736, 684, "1/5", {"1_8": 342, "1_4": 684}),
    "mer": (851, 213, "1/5", {"1_8": 106, "1_4": 212}),
    "msl": (3141, 786, "1/5", {"1_8": 392, "1_4": 785}),
}
SHIFTED = ("whdld", "loveda", "potsdam")  # raw 0 is ignored, the others - 1
every_benchmark = pytest.mark.parametrize("name", sorted(CLASSES))


@every_benchmark
def test_classes_and_palette(name):
    spec = get_spec(name)
    assert spec.class_names == CLASSES[name].split(", ")
    palette = [tuple(map(int, color.split(","))) for color in PALETTES[name].split()]
    assert [entry.color for entry in spec.classes] == palette
    assert spec.label_colors == palette


@every_benchmark
def test_concepts(name):
    expected = {}
    for line in CONCEPTS[name].strip().splitlines():
        first, rest = line.split(": ")
        expected[first] = (first, *rest.split(", "))
    assert {entry.name: entry.concepts for entry in get_spec(name).classes} == expected


@every_benchmark
def test_coding_of_masks(name):
    labels = get_spec(name).labels
    assert labels.encoding == "index" and labels.map is None
    assert (labels.offset, labels.ignore) == ((-1, (0,)) if name in SHIFTED else (0, ()))


@every_benchmark
def test_splits_and_counts(name):
    train, val, share, labelled = SIZES[name]
    splits = get_spec(name).splits
    assert (splits.folder, splits.fractions) == ("splits", tuple(labelled))
    assert {split: labeled_count(split, train) for split in labelled} == labelled
    assert validation_count(Fraction(share), train + val) == val


@pytest.fixture
def root_of(tmp_path):
    """A function (name) that moves a shipped dataset into the test's folder."""
    moved = []

    def move(name):
        moved.append(name)
        set_root(name, tmp_path)
        return tmp_path

    yield move
    for name in moved:
        set_root(name, None)


def write_raw(root, folders, name, numbers, palette=None):
    """An image and a mask of these numbers; names as given, suffixes too."""
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
    mask = np.array([numbers], np.uint8).repeat(4, axis=0)
    Image.fromarray(np.full((*mask.shape, 3), 90, np.uint8)).save(root / folders[0] / name[0])
    picture = Image.fromarray(mask)
    if palette:
        picture.putpalette(palette)
    picture.save(root / folders[1] / name[1])


def write_lists(root, lines):
    for number, name in enumerate(("splits/1_8/labeled.txt", "splits/1_8/unlabeled.txt")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines[number] + "\n")
    (root / "splits/val.txt").write_text(lines[2] + "\n")


@every_benchmark
def test_the_authors_layout(name, root_of):
    root, spec = root_of(name), get_spec(name)
    numbers = [*range(len(spec.classes) + (name in SHIFTED)), 255]
    for stem in "abc":
        write_raw(root, ("images", "labels"), (f"{stem}.png", f"{stem}.png"), numbers)
    write_lists(root, [f"images/{stem}.png labels/{stem}.png" for stem in "abc"])
    (record,) = get_records(f"{name}_1_8_labeled")
    classes = read_classes(record["sem_seg_file_name"], spec)
    ignored = [255] if name in SHIFTED else []
    assert classes[0].tolist() == [*ignored, *range(len(spec.classes)), 255]
    assert "sem_seg_file_name" not in get_records(f"{name}_1_8_unlabeled")[0]
    assert [Path(r["file_name"]).name for r in get_records(f"{name}_val")] == ["c.png"]


@every_benchmark
def test_a_number_beyond_the_classes_is_refused(name, tmp_path):
    beyond = len(CLASSES[name].split(", ")) + (name in SHIFTED)
    Image.fromarray(np.full((2, 2), beyond, np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(
        ValueError, match=rf"stand for none of the \d+ classes of '{name}': .{beyond}"
    ):
        read_classes(str(tmp_path / "mask.png"), get_spec(name))


def test_raw_whdld_needs_no_script(root_of):
    """JPEG images and palette masks in folders of other names, as lists may name them."""
    root, spec = root_of("whdld"), get_spec("whdld")
    palette = [0, 0, 0, *(value for entry in spec.classes for value in entry.color)]
    for stem in "abc":
        names = (f"{stem}.jpg", f"{stem}.png")
        write_raw(root, ("Images", "ImagesPNG"), names, range(7), palette)
    write_lists(root, [f"Images/{stem}.jpg ImagesPNG/{stem}.png" for stem in "abc"])
    (record,) = get_records("whdld_1_8_labeled")
    assert read_classes(record["sem_seg_file_name"], spec)[0].tolist() == [255, 0, 1, 2, 3, 4, 5]
