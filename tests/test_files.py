"""The one writer: whole files, no leftovers, no collisions, the permissions of any new file."""

import json
import os
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from co2s.files import (
    copy_whole,
    left_by_system,
    replaced_folder,
    write_json,
    write_png,
    write_text,
    write_together,
    write_whole,
)


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def stops(error):
    """A writer that gets half-way."""

    def write(draft):
        draft.write_text("half")
        raise error

    return write


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_what_is_interrupted_leaves_the_old_file_and_nothing_else(tmp_path, error):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(type(error)):
        write_whole(tmp_path / "a.txt", stops(error))
    assert files(tmp_path) == {"a.txt": b"old"}


def test_two_that_write_one_file_at_once_do_not_meet(tmp_path):
    path = tmp_path / "a.txt"

    def write(draft):
        draft.write_text("outer, begun ")
        write_text(path, "inner")  # as another process would, meanwhile
        assert path.read_text() == "inner"
        with open(draft, "a") as file:
            file.write("and ended")

    write_whole(path, write)
    assert files(tmp_path) == {"a.txt": b"outer, begun and ended"}


def test_permissions_are_those_of_any_new_file(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "a")
        with replaced_folder(tmp_path / "folder") as draft:
            write_text(draft / "b.txt", "b")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a.txt", "folder")]
    assert modes == [0o640, 0o750]


def test_content_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    real = os.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append("flushed"))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("named"), real(a, b)))
    write_text(tmp_path / "a.txt", "a")
    assert done == ["flushed", "named"]


@pytest.mark.parametrize("existed", [True, False])
@pytest.mark.parametrize("fails", ["write", "rename"])
def test_several_files_are_written_together_or_not_at_all(tmp_path, monkeypatch, existed, fails):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    if existed:
        write_text(first, "old a")
        write_text(second, "old b")
    before, real = files(tmp_path), os.replace

    def rename(source, target):
        if Path(target) == second and Path(source).read_text() == "new b":
            raise OSError("disk full")
        real(source, target)

    if fails == "rename":
        monkeypatch.setattr(os, "replace", rename)
    second_writer = {
        "write": stops(OSError("disk full")),
        "rename": lambda draft: draft.write_text("new b"),
    }
    writers = {first: lambda draft: draft.write_text("new a"), second: second_writer[fails]}
    with pytest.raises(OSError, match="disk full"):
        write_together(writers)
    assert files(tmp_path) == before
    monkeypatch.undo()
    write_together({**writers, second: second_writer["rename"]})
    assert files(tmp_path) == {"a.txt": b"new a", "b.txt": b"new b"}


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        write_text(tmp_path / "file" / "a.txt", "a")

    def write(draft):
        raise PermissionError(13, "Permission denied", str(draft))

    with pytest.raises(PermissionError, match=r"b\.txt'$"):
        write_whole(tmp_path / "b.txt", write)


def test_names_may_be_as_long_as_the_disk_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    write_text(path, "a")
    assert path.read_text() == "a"


def test_line_ends_and_letters_are_the_same_on_every_system(tmp_path):
    write_text(tmp_path / "a.txt", "建筑\nb\n")
    assert (tmp_path / "a.txt").read_bytes() == "建筑\nb\n".encode()


def test_json_and_png_make_their_folder_and_are_read_back(tmp_path):
    write_json(tmp_path / "new" / "a.json", {"建筑": 1.5})
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == {"建筑": 1.5}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "new" / "b.json", float("nan"))
    write_png(tmp_path / "new" / "c.png", np.array([[0, 1]], np.uint8), [1, 2, 3, 4, 5, 6])
    with Image.open(tmp_path / "new" / "c.png") as image:
        assert np.asarray(image.convert("RGB")).tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert set(files(tmp_path)) == {"new/a.json", "new/c.png"}


def test_copies_and_links_also_of_a_file_that_is_read_only(tmp_path):
    source = tmp_path / "a.txt"
    source.write_text("a")
    source.chmod(0o400)
    copy_whole(source, tmp_path / "copy.txt")
    copy_whole(source, tmp_path / "link.txt", link=True)
    copy_whole(source, tmp_path / "link.txt", link=True)
    assert (tmp_path / "link.txt").samefile(source)
    assert not (tmp_path / "copy.txt").samefile(source)
    assert files(tmp_path) == dict.fromkeys(("a.txt", "copy.txt", "link.txt"), b"a")


def test_a_folder_is_replaced_whole_or_stays(tmp_path):
    folder = tmp_path / "lists"
    with replaced_folder(folder) as draft:
        write_text(draft / "old.txt", "old")
    with pytest.raises(KeyboardInterrupt), replaced_folder(folder) as draft:
        write_whole(draft / "new.txt", stops(KeyboardInterrupt()))
    assert files(tmp_path) == {"lists/old.txt": b"old"}
    with replaced_folder(folder) as draft:
        write_text(draft / "new.txt", "new")
    assert files(tmp_path) == {"lists/new.txt": b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["lists"]


@pytest.mark.parametrize("name", ["._a.png", ".DS_Store", "Thumbs.db", "desktop.ini"])
def test_files_of_file_managers(name):
    assert left_by_system(Path("images") / name)
    assert not left_by_system(Path("._images") / "a.png")
