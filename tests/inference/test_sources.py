"""Which scenes, and where their maps go."""

import pytest

from co2s.inference.sources import Shard, find_sources


@pytest.fixture
def scenes(tmp_path):
    for name in ("a.tif", "sub/a.tif", "sub/b.PNG", "notes.txt", ".hidden/c.tif", "._a.tif"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def names(inputs, output):
    return [source.name for source in find_sources([str(given) for given in inputs], output)]


def test_a_folder_is_searched_and_keeps_its_folders(scenes, tmp_path):
    assert names([scenes], tmp_path / "out") == ["a", "sub/a", "sub/b"]


def test_files_patterns_and_places_of_gdal(scenes, tmp_path):
    given = [scenes / "a.tif", scenes / "sub" / "*.PNG", "/vsicurl/somewhere/d.tif"]
    assert sorted(names(given, tmp_path)) == ["a", "b", "d"]
    assert names([scenes / "a.tif", scenes / "a.tif"], tmp_path) == ["a"]


def test_two_scenes_for_one_map_are_refused(scenes, tmp_path):
    with pytest.raises(ValueError, match=r"would both write a in"):
        names([scenes / "a.tif", scenes / "sub" / "a.tif"], tmp_path)


def test_no_map_is_written_over_a_scene(scenes):
    with pytest.raises(ValueError, match=r"written over the scene"):
        names([scenes / "a.tif"], scenes)
    with pytest.raises(ValueError, match=r"written over the scene"):
        names([scenes], scenes)


def test_nothing_to_predict_is_an_error(scenes, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"No image lies in .*empty"):
        names([tmp_path / "empty"], tmp_path / "out")
    for given in ("missing.tif", "*.missing"):
        with pytest.raises(FileNotFoundError, match="no such file"):
            names([given], tmp_path / "out")


def test_shards_share_the_scenes_out():
    parts = [Shard(number, 3).of(range(8)) for number in (1, 2, 3)]
    assert sorted(number for part in parts for number in part) == [*range(8)]
    assert Shard.parse("", {}).of(range(8)) == [*range(8)]
    assert Shard.parse("2/3", {}) == (2, 3)


@pytest.mark.parametrize(("first", "task"), [(0, 0), (1, 1), (4, 4)])
def test_a_task_of_a_slurm_array_takes_its_part(first, task):
    array = {
        "SLURM_ARRAY_TASK_ID": str(task + 1),
        "SLURM_ARRAY_TASK_MIN": str(first),
        "SLURM_ARRAY_TASK_COUNT": "4",
    }
    assert Shard.parse("", array) == (2, 4)
    assert Shard.parse("1/1", array) == (1, 1), "what is given goes first"


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/", "/2", "-1/2"])
def test_wrong_shards_are_named(text):
    with pytest.raises(ValueError, match="--shard"):
        Shard.parse(text, {})
