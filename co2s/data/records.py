"""Records: the samples of one dataset as dicts, found under its root by its spec.

A record has `file_name`, `image_id`, `dataset` (the spec's name), `sem_seg_file_name` where it is
labelled, and for a window of a larger image `window` (y, x, height, width) in pixels.
"""

from collections.abc import Iterator
from pathlib import Path

from co2s.structures import windows

from .patterns import Parts, match_pattern
from .reading.coco import Annotations, check_listed, load_annotations
from .reading.io import image_size
from .reading.vector import check_labelled, is_labelled
from .spec import DatasetSpec
from .splits import labeled_count, nested_choice, read_list

Record = dict


class DatasetFiles:
    """The files of one dataset: every method reads the disk anew."""

    def __init__(self, spec: DatasetSpec, root: Path) -> None:
        self.spec = spec
        self.root = root

    def labeled(self, split: str) -> list[Record]:
        """The labelled training records of a split."""
        if self.spec.splits.folder is not None:
            return self._listed(f"{split}/labeled.txt", with_labels=True)
        found = self._found("train")
        chosen = self._chosen(found, split)
        return [record for number, (record, _) in enumerate(found) if number in chosen]

    def unlabeled(self, split: str | None = None) -> list[Record]:
        """The unlabelled training records of a split; no label is named or looked at."""
        if self.spec.splits.folder is not None:
            return self._listed(f"{split}/unlabeled.txt", with_labels=False)
        found = self._found("train")
        chosen = self._chosen(found, split) if split else set()
        rest = [record for number, (record, _) in enumerate(found) if number not in chosen]
        return [_without_label(record) for record in rest] + self._more()

    def known_masks(self, split: str | None = None) -> dict[str, str]:
        """The masks that happen to lie there for the unlabelled images of a split, by image_id."""
        if self.spec.splits.folder is not None:
            records = self._listed(f"{split}/unlabeled.txt", with_labels=None)
        else:
            unlabeled = {record["image_id"] for record in self.unlabeled(split)}
            found = (record for record, _ in self._found("train"))
            records = [record for record in found if record["image_id"] in unlabeled]
        named = {r["image_id"]: r["sem_seg_file_name"] for r in records if "sem_seg_file_name" in r}
        there = {path: Path(path).is_file() for path in {*named.values()}}
        return {image: path for image, path in named.items() if there[path]}

    def val(self) -> list[Record]:
        """The validation records, labelled."""
        if self.spec.splits.folder is not None:
            return self._listed("val.txt", with_labels=True)
        return [record for record, _ in self._found("val") if "sem_seg_file_name" in record]

    def _listed(self, name: str, with_labels: bool | None) -> list[Record]:
        """with_labels: of every image, or of none; None: of those that have one."""
        assert self.spec.splits.folder is not None
        path = self._existing_root() / self.spec.splits.folder / name
        records = []
        for image, label in read_list(path):
            record = self._record(image)
            if with_labels is not False:
                label = label or self._annotated(image)
                if label is not None:
                    record["sem_seg_file_name"] = str(self.root / label)
                elif with_labels:
                    raise ValueError(
                        f"{path}: {image} has no label beside it, behind a space or a tab."
                    )
            records.append(record)
        found = self._cut(records)
        return [record for record in found if not with_labels or "sem_seg_file_name" in record]

    def _found(self, role: str) -> list[tuple[Record, Parts]]:
        """Records and named parts of the files that the role ("train" or "val") selects."""
        layout, splits = self.spec.layout, self.spec.splits
        assert layout is not None
        pairs = []
        for image, parts in match_pattern(self._existing_root(), layout.images):
            in_val = splits.val is not None and _selected(parts, splits.val)
            in_train = not in_val if splits.train is None else _selected(parts, splits.train)
            if in_val if role == "val" else in_train:
                record = self._record(image)
                label = self._label(image, parts)
                if label is not None:
                    record["sem_seg_file_name"] = str(self.root / label)
                pairs.append((record, parts))
        self._check_drawn([record for record, _ in pairs], role)
        return [(window, parts) for record, parts in pairs for window in self._cut([record])]

    def _label(self, image: str, parts: Parts) -> str | None:
        """The file with the image's classes, relative to the root; None where it has none."""
        assert self.spec.layout is not None
        if self.spec.labels.drawn_from is not None:
            return self._annotated(image)
        pattern = self.spec.layout.labels
        return None if pattern is None else pattern.format(**parts)

    def _annotated(self, image: str) -> str | None:
        """The file with the labels of all images, if there is one and it has any of this image."""
        labels, path = self.spec.labels, str(self.root / image)
        if labels.vector is not None:
            return labels.vector if is_labelled(self._polygons(), self.spec, path) else None
        if labels.file is None or self._annotations(labels.file).find(path) is None:
            return None
        return labels.file

    def _check_drawn(self, records: list[Record], role: str) -> None:
        """ValueError where the one file of labels does not fit the images of a role."""
        labels, images = self.spec.labels, [record["file_name"] for record in records]
        if labels.file is not None:
            check_listed(self._annotations(labels.file), images, all_of_them=role == "val")
        if labels.vector is not None:
            labelled = ["sem_seg_file_name" in record for record in records]
            check_labelled(self._polygons(), self.spec, images, labelled, role == "val")

    def _polygons(self) -> str:
        """The path of the polygons."""
        path = self._existing_root() / str(self.spec.labels.vector)
        if not path.is_file():
            raise FileNotFoundError(f"The file of polygons {path} (labels.vector) is missing.")
        return str(path)

    def _annotations(self, file: str) -> Annotations:
        path = self._existing_root() / file
        if not path.is_file():
            raise FileNotFoundError(f"The annotation file {path} (labels.file) is missing.")
        return load_annotations(str(path))

    def _chosen(self, found: list[tuple[Record, Parts]], split: str) -> set[int]:
        """Positions of the labelled records: a nested choice among those that have a mask."""
        masked = {path: Path(path).is_file() for path in {_label(record) for record, _ in found}}
        masked[""] = False  # of images that no annotation file lists
        able = [number for number, (record, _) in enumerate(found) if masked[_label(record)]]
        spread = self.spec.splits.spread
        groups = [found[number][1][spread] if spread else "" for number in able]
        names = [found[number][0]["image_id"] for number in able]
        count = labeled_count(split, len(able))
        chosen = nested_choice(names, groups, count, self.spec.splits.seed)
        return {able[position] for position in chosen}

    def _more(self) -> list[Record]:
        """Records of the images that `layout.unlabeled` names."""
        patterns = self.spec.layout.unlabeled if self.spec.layout else ()
        paths = [path for p in patterns for path, _ in match_pattern(self._existing_root(), p)]
        return list(self._cut([self._record(path) for path in paths]))

    def _record(self, image: str) -> Record:
        return {
            "file_name": str(self.root / image),
            "image_id": Path(image).as_posix(),
            "dataset": self.spec.name,
        }

    def _cut(self, records: list[Record]) -> Iterator[Record]:
        """Every record, or in its place its full windows, row by row; of polygons, a window that
        has none of them is unlabelled."""
        layout = self.spec.layout
        if layout is None or layout.window is None:
            yield from records
            return
        side = layout.window
        for record in records:
            size = image_size(record["file_name"], self.spec.raster)
            for top, left, bottom, right in windows(*size, side, side):
                # The last of a row or column is shifted back where it is off the grid.
                if layout.cover or (top % side == 0 and left % side == 0):
                    image_id = f"{record['image_id']}@{top}_{left}"
                    window = (top, left, bottom - top, right - left)
                    found = {**record, "image_id": image_id, "window": window}
                    yield found if self._has_label(found) else _without_label(found)

    def _has_label(self, record: Record) -> bool:
        """Whether a record that may have a label keeps it, being a window."""
        if self.spec.labels.vector is None or "sem_seg_file_name" not in record:
            return True
        path = record["sem_seg_file_name"]
        return is_labelled(path, self.spec, record["file_name"], record["window"])

    def _existing_root(self) -> Path:
        if not self.root.is_dir():
            raise FileNotFoundError(
                f"The folder of dataset '{self.spec.name}' is missing: {self.root}. "
                "datasets/README.md says where it comes from; set DATASETS.ROOT to its folder, or "
                "DETECTRON2_DATASETS to the folder that holds it."
            )
        return self.root


def _selected(parts: Parts, selection: dict[str, tuple[str, ...]]) -> bool:
    return all(parts[part] in values for part, values in selection.items())


def _label(record: Record) -> str:
    return record.get("sem_seg_file_name", "")


def _without_label(record: Record) -> Record:
    return {key: value for key, value in record.items() if key != "sem_seg_file_name"}
