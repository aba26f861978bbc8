"""Suggestions: windows of class maps by what labelling them would teach."""

import csv
import io
import sqlite3
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from co2s.data.reading.vector_file import layers_of, read_features
from co2s.inference.suggestions.contact_sheet import LINE, SIDE, find_scenes
from co2s.inference.suggestions.files import write_suggestions
from co2s.inference.suggestions.ranking import normalised_ranks, rarity, suggest
from co2s.inference.suggestions.windows import find_maps, measure_windows, open_maps

from ..geo import CRS, write_raster
from ..vectors import pixels, shapely, write_vector
from .map_files import CLASSES, tiles, write_map

S = 4  # side of the windows, pixels


def places(found):
    return [(one.map.path.stem, *one.window[:2]) for one in found.chosen]


def only(**weights):
    """Weights of 0 but for these."""
    return {"disagreement": 0, "entropy": 0, "rarity": 0} | weights


def test_ranks_are_those_of_the_values():
    assert normalised_ranks(np.array([3.0, 1, 2, 1, 9])).tolist() == [0.75, 0.125, 0.5, 0.125, 1]
    assert normalised_ranks(np.array([7.0])).tolist() == [0]


def test_rarity_is_the_mean_of_bits():
    counts = np.array([[4, 0, 0], [2, 2, 0], [0, 1, 0]])
    # Shares 3/4 and 1/4 of 8 + 2 + ... pixels: -log2 is 0.415 and 2 bits.
    bits = rarity(counts, np.array([12, 4, 0]))
    assert bits == pytest.approx([-np.log2(0.75), (2 - np.log2(0.75)) / 2, 2])


def test_windows_hold_what_their_pixels_say(tmp_path):
    labels = tiles([[0, 1, 2], [1, 1, 255]], S)
    labels[0, :2] = 255
    disagreement = tiles([[254, 127, 0], [0, 0, 0]], S)
    entropy = np.full(labels.shape, 254)
    entropy[0] = 0
    path = write_map(tmp_path / "x.tif", labels, disagreement=disagreement, entropy=entropy)
    (one,) = open_maps([path])
    found = measure_windows(one, S, ["disagreement", "entropy"])
    assert found.windows.tolist() == [[y, x, S, S] for y in (0, 4) for x in (0, 4, 8)]
    assert found.counts.tolist() == [
        *([14, 0, 0], [0, 16, 0], [0, 0, 16], [0, 16, 0], [0, 16, 0], [0, 0, 0])
    ]
    assert found.valid.tolist() == [14 / 16, 1, 1, 1, 1, 0]
    assert found.means["disagreement"].tolist() == [1, 0.5, 0, 0, 0, 0]
    assert found.means["entropy"] == pytest.approx([12 / 14, 0.75, 0.75, 1, 1, 0])


def test_the_last_windows_end_at_the_border(tmp_path):
    path = write_map(tmp_path / "x.tif", np.zeros((5, 10)), entropy=1)
    (one,) = open_maps([path])
    boxes = measure_windows(one, S, ["entropy"]).windows.tolist()
    assert boxes == [[y, x, S, S] for y in (0, 1) for x in (0, 4, 6)]
    assert measure_windows(one, 8, ["entropy"]).windows.tolist() == [[0, 0, 5, 8], [0, 2, 5, 8]]


def test_the_best_come_first_and_no_two_are_neighbours(tmp_path):
    doubt = tiles([[90, 99, 98, 10, 97], [95, 96, 20, 30, 40], [80, 11, 12, 13, 50]], S)
    path = write_map(tmp_path / "x.tif", np.zeros(doubt.shape), disagreement=doubt, entropy=0)
    found = suggest([path], 4, S, only(disagreement=1))
    # 98, 96, 95, 90 touch 99, some by a corner; after 97 (three on) comes 80 (two down).
    assert places(found) == [("x", 0, 4), ("x", 0, 16), ("x", 8, 0), ("x", 8, 16)]
    assert [one.rank for one in found.chosen] == [1, 2, 3, 4]
    assert found.chosen[0].score == 1 and found.chosen[0].parts["disagreement"] == 99 / 254
    assert found.chosen[1].score == 12 / 14


def test_the_score_is_the_weighted_mean_of_the_ranks(tmp_path):
    labels = tiles([[0, 255, 0, 255, 1]], S)
    bands = {"disagreement": tiles([[2, 0, 1, 0, 0]], S), "entropy": tiles([[0, 0, 1, 0, 2]], S)}
    path = write_map(tmp_path / "x.tif", labels, **bands)
    found = suggest([path], 3, S, {"entropy": 2, "rarity": 0.5})
    # Ranks of disagreement 1, 1/2, 0; of entropy 0, 1/2, 1; of rarity 1/4, 1/4, 1.
    scores = {place[2]: one.score for place, one in zip(places(found), found.chosen, strict=True)}
    expected = {0: (1 + 0.125) / 3.5, 8: (0.5 + 1 + 0.125) / 3.5, 16: (2 + 0.5) / 3.5}
    assert scores == pytest.approx(expected) and found.empty == 2 and found.seen == 5
    assert [*scores] == [16, 8, 0]
    assert found.chosen[0].ranks == {"disagreement": 0, "entropy": 1, "rarity": 1}


def test_mostly_nodata_is_passed_over(tmp_path):
    labels = np.zeros((S, 3 * S))
    labels[:, :S] = 255
    labels[:2, :S] = 0  # half of it
    labels[:, 2 * S :] = 255
    labels[:2, 2 * S : 3 * S - 1] = 0  # a bit less than half
    path = write_map(tmp_path / "x.tif", labels, entropy=9)
    found = suggest([path], 3, S)
    assert places(found) == [("x", 0, 0)] and found.empty == 1


def test_confidence_where_there_is_neither(tmp_path):
    confidence = tiles([[254, 0, 127]], S)
    path = write_map(tmp_path / "x.tif", np.zeros(confidence.shape), confidence=confidence)
    found = suggest([path], 1, S, {"rarity": 0})
    assert places(found) == [("x", 0, 4)] and found.chosen[0].parts["doubt"] == 1
    # Of maps with different bands those count that all have.
    other = write_map(tmp_path / "y.tif", np.zeros((S, S)), crs=CRS, confidence=254, entropy=200)
    assert [*suggest([path, other], 1, S).chosen[0].parts] == ["doubt", "rarity"]


def test_neighbours_across_scenes_and_crss(tmp_path):
    zeros = np.zeros((S, S))
    east = (500000 + S, 2800000)
    maps = [
        write_map(tmp_path / "a.tif", zeros, entropy=99),
        write_map(tmp_path / "b.tif", zeros, origin=(east[0] + 0.3, east[1]), entropy=98),  # beside
        write_map(tmp_path / "c.tif", zeros, origin=(east[0] + S, east[1]), entropy=97),
    ]
    far = shapely.points(500000 - 50.0, 2800000.0)
    for number, (shape, entropy) in enumerate(
        [(shapely.points(500001.0, 2800001.0), 96), (far, 9)]
    ):
        x, y = in_degrees(shape)
        path = tmp_path / f"d{number}.tif"
        maps.append(
            write_map(path, zeros, crs="EPSG:4326", origin=(x, y), pixel=1e-5, entropy=entropy)
        )
    found = suggest(maps, 9, S, {"rarity": 0})
    assert [place[0] for place in places(found)] == ["a", "c", "d1"]
    shape = found.footprints.shape(4, (0, 0, S, S))
    assert shape.envelope.bounds[0] == pytest.approx(500000 - 50, abs=0.01)


def in_degrees(point):
    from pyproj import Transformer

    return Transformer.from_crs(CRS, "EPSG:4326", always_xy=True).transform(point.x, point.y)


def test_what_is_labelled_is_not_suggested(tmp_path):
    doubt = tiles([[90, 0, 80, 0, 70]], S)
    path = write_map(tmp_path / "x.tif", np.zeros(doubt.shape), entropy=doubt)
    drawn = [(pixels(1, 1, 3, 3), "water"), (pixels(1, 9, 3, 11), "")]
    drawn += [(pixels(0, 2 * S - 2, S, 2 * S), "field")]  # has a side in common with the second
    labels = write_vector(tmp_path / "drawn.gpkg", drawn)
    found = suggest([path], 2, S, {"rarity": 0}, [tmp_path / "drawn.gpkg"])
    assert labels and places(found) == [("x", 0, 8), ("x", 0, 16)] and found.labelled == 1
    with pytest.raises(FileNotFoundError, match=r"none\.gpkg \(--labeled\) are missing"):
        suggest([path], 2, S, labelled=[tmp_path / "none.gpkg"])
    with pytest.raises(ValueError, match=r"x\.tif cannot be read as a vector file"):
        suggest([path], 2, S, labelled=[path])


def test_maps_that_do_not_go_together(tmp_path):
    zeros = np.zeros((S, S))
    good = write_map(tmp_path / "a.tif", zeros, entropy=1)
    bare = write_map(tmp_path / "bare.tif", zeros, crs=None, entropy=1)
    plain = write_map(tmp_path / "plain.tif", zeros)
    other = write_map(tmp_path / "other.tif", zeros, classes=CLASSES[:2], entropy=1)
    empty = write_map(tmp_path / "empty.tif", zeros + 255, entropy=1)
    seven = write_map(tmp_path / "seven.tif", zeros + 7, entropy=1)
    for paths, words in [
        ([good, bare], r"bare\.tif has no CRS, .*a\.tif has"),
        ([good, plain], r"share no band .*a\.tif: \['entropy'\]; .*plain\.tif: \[\]"),
        ([good, other], r"a\.tif and .*other\.tif have other classes"),
        ([empty], "of 1 windows 1 are mostly nodata, and 0 are labelled"),
        ([seven], r"seven\.tif has the values \[7\]"),
        ([tmp_path / "a_uncertainty.tif"], "is no class map"),
    ]:
        with pytest.raises(ValueError, match=words):
            suggest(paths, 1, S)
    with pytest.raises(ValueError, match=r"--weights of \['doubt'\], but the maps have"):
        suggest([good], 1, S, {"doubt": 1})
    with pytest.raises(ValueError, match=r"--weights must be 0 or more"):
        suggest([good], 1, S, {"entropy": 0, "rarity": 0})


def test_finding_maps(tmp_path):
    for name in ("a", "b"):
        write_map(tmp_path / f"maps/{name}.tif", np.zeros((S, S)), entropy=1)
    write_map(tmp_path / "maps/a_global.tif", np.zeros((S, S)))
    (tmp_path / "maps/note.txt").write_text("")
    folder = str(tmp_path / "maps")
    both = [tmp_path / "maps/a.tif", tmp_path / "maps/b.tif"]
    assert find_maps([folder]) == find_maps([f"{folder}/*.tif", folder]) == both
    assert find_maps([f"{folder}/a_global.tif"]) == [tmp_path / "maps/a_global.tif"]
    with pytest.raises(FileNotFoundError, match="is no file, and no folder or pattern"):
        find_maps([f"{folder}/*.png"])


@pytest.fixture
def written(tmp_path):
    """Suggestions of two maps in a folder: (what was found, folder)."""
    doubt = tiles([[90, 0, 80]], S)
    labels = tiles([[0, 1, 2]], S)
    one = write_map(tmp_path / "maps/a.tif", labels, disagreement=doubt, entropy=7)
    origin = (500100, 2800000)
    two = write_map(tmp_path / "maps/b.tif", labels, origin=origin, disagreement=85, entropy=7)
    write_raster(tmp_path / "scenes/a.tif", np.full((4, S, 3 * S), np.arange(12), np.uint16))
    found = suggest([one, two], 3, S, only(disagreement=1))
    scenes = find_scenes(found.maps, tmp_path / "scenes")
    assert scenes == {one: tmp_path / "scenes/a.tif"}
    write_suggestions(found, tmp_path / "out", scenes)
    return found, tmp_path / "out", scenes


def test_the_geopackage_holds_windows_and_a_layer_to_draw_in(written):
    from pyogrio import raw, read_info

    _, folder, _ = written
    path = folder / "suggestions.gpkg"
    columns = ["class", "rank", "score", "scene", "disagreement", "entropy", "rarity"]
    assert layers_of(str(path)) == {"suggestions": columns, "labels": ["class"]}
    about, _, shapes, values = raw.read(path, layer="suggestions")
    assert about["crs"] == CRS and read_info(path, layer="labels")["crs"] == CRS
    assert read_info(path, layer="labels")["features"] == 0
    table = dict(zip(columns, values, strict=True))
    assert table["class"].tolist() == [None] * 3 and table["rank"].tolist() == [1, 2, 3]
    assert table["scene"].tolist() == ["a.tif", "b.tif", "b.tif"]
    assert table["score"][0] == 1 and table["disagreement"][0] == 90 / 254
    assert shapely.from_wkb(shapes[0]).equals(pixels(0, 0, S, S))
    assert shapely.from_wkb(shapes[2]).equals(pixels(0, 8, S, 12, origin=(500100, 2800000)))


def test_the_classes_are_the_domain_of_the_column(written):
    _, folder, _ = written
    with sqlite3.connect(folder / "suggestions.gpkg") as file:
        domain = file.execute(
            "SELECT table_name, value FROM gpkg_data_columns JOIN gpkg_data_column_constraints "
            "USING (constraint_name) WHERE column_name = 'class' AND constraint_type = 'enum' "
            "ORDER BY table_name, gpkg_data_column_constraints.rowid"
        ).fetchall()
        styles = file.execute("SELECT f_table_name, styleQML, useAsDefault FROM layer_styles")
        styles = styles.fetchall()
        extensions = file.execute("SELECT table_name FROM gpkg_extensions").fetchall()
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    names = [entry.name for entry in CLASSES]
    assert domain == [(layer, name) for layer in ("labels", "suggestions") for name in names]
    assert {("gpkg_data_columns",), ("gpkg_data_column_constraints",)} <= {*extensions}
    qml = (folder / "labels.qml").read_text(encoding="utf-8")
    assert styles == [(layer, qml, 1) for layer in ("suggestions", "labels")]
    assert (folder / "suggestions.qml").read_text(encoding="utf-8") == qml


def test_the_style_shows_the_classes_and_lets_choose_them(written):
    _, folder, _ = written
    root = ElementTree.parse(folder / "labels.qml").getroot()
    names = [entry.name for entry in CLASSES]
    choices = root.findall(".//field[@name='class']/editWidget[@type='ValueMap']//Option[@value]")
    assert [choice.get("value") for choice in choices] == names
    renderer = root.find("renderer-v2[@type='categorizedSymbol'][@attr='class']")
    categories = renderer.findall("categories/category")
    assert [category.get("value") for category in categories] == [*names, ""]
    for entry, category in zip(CLASSES, categories, strict=False):
        path = f"symbols/symbol[@name='{category.get('symbol')}']//Option[@name='color']"
        assert renderer.find(path).get("value") == ",".join(map(str, (*entry.color, 128)))


def test_the_list(written):
    _, folder, _ = written
    rows = list(csv.DictReader(io.StringIO((folder / "suggestions.csv").read_text())))
    assert len(rows) == 3
    keys = ("rank", "scene", "row", "column", "height", "width", "x", "y", "crs", "score")
    assert [rows[2][key] for key in keys[:9]] == [
        *("3", "b.tif", "0", "8", "4", "4", "500110.0", "2799998.0", CRS)
    ]
    assert float(rows[0]["disagreement"]) == pytest.approx(90 / 254, abs=1e-6)
    assert float(rows[0]["disagreement_rank"]) == 1 and rows[0]["rarity_rank"]


def test_the_sheet_shows_scene_and_classes(written, tmp_path):
    found, folder, _ = written
    sheet = Image.open(folder / "contact_sheet.png").convert("RGB")
    assert sheet.height == SIDE + LINE + 16 + LINE * len(CLASSES)
    x, y, step = 8, 8 + LINE, SIDE + 8
    assert sheet.getpixel((x + step + 80, y + 80)) == CLASSES[0].color  # the classes of the first
    left, right = (sheet.getpixel((x + place, y + 80))[0] for place in (10, 150))
    assert left < right  # the scene grows brighter to the right
    assert sheet.getpixel((x + 2 * step + 80, y + 80)) == (200, 200, 200)  # b has no scene
    assert sheet.getpixel((x + 5 * step + 80, y + 80)) == CLASSES[2].color
    write_raster(tmp_path / "other/a.tif", np.zeros((3, 5, 5), np.uint8))
    with pytest.raises(ValueError, match=r"other/a\.tif is 5 x 5 pixels, its map .* 4 x 12"):
        find_scenes(found.maps, tmp_path / "other")
    with pytest.raises(FileNotFoundError, match=r"no scene of a map's name, as a\.tif is"):
        find_scenes(found.maps, tmp_path / "out")


def test_the_scene_that_a_map_names(tmp_path):
    scene = write_raster(tmp_path / "s/x.tif", np.zeros((3, S, S), np.uint8))
    tags = {"CO2S_SCENE": scene}
    path = write_map(tmp_path / "a.tif", np.zeros((S, S)), tags=tags, entropy=1)
    assert find_scenes(open_maps([path]), None) == {path: tmp_path / "s/x.tif"}
    (tmp_path / "s/x.tif").unlink()
    assert find_scenes(open_maps([path]), None) == {}


def test_a_rerun_replaces_all_but_what_was_drawn(written):
    found, folder, scenes = written
    (folder / "contact_sheet.png").write_bytes(b"")
    before = sorted(path.name for path in folder.iterdir())
    write_suggestions(found, folder, scenes)
    assert sorted(path.name for path in folder.iterdir()) == before and len(before) == 5
    assert (folder / "contact_sheet.png").stat().st_size
    assert len(read_features(str(folder / "suggestions.gpkg"), "class", "suggestions").ids) == 3
    drawn = [(pixels(0, 0, 1, 1), "water")]
    write_vector(folder / "suggestions.gpkg", drawn, layer="labels", append=True)
    before = (folder / "suggestions.gpkg").read_bytes()
    with pytest.raises(FileExistsError, match=r"holds 1 labels, in its layer 'labels'.*--labeled"):
        write_suggestions(found, folder, scenes)
    assert (folder / "suggestions.gpkg").read_bytes() == before


def test_maps_without_a_place_have_a_list_alone(tmp_path, log):
    path = write_map(tmp_path / "a.tif", tiles([[0, 1, 2]], S), crs=None, entropy=1)
    found = suggest([path], 1, S)
    write_suggestions(found, tmp_path / "out", {})
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"suggestions.csv", "contact_sheet.png"} and "has no CRS" in log.text
