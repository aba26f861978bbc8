"""What the user gave: the keys of a configuration file, of its bases, and of the command line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from co2s.d2 import CfgNode, get_cfg
from co2s.d2.key_names import key_names, unknown_message
from co2s.d2.lite.config_defaults import DETECTION_ONLY

# Of detectron2's own keys those that something here reads. All others are for object detectors.
READ = {
    "CUDNN_BENCHMARK",
    "DATALOADER.NUM_WORKERS",
    "DATASETS.TEST",
    "FLOAT32_PRECISION",
    "INPUT.FORMAT",
    "MODEL.DEVICE",
    "MODEL.META_ARCHITECTURE",
    "MODEL.PIXEL_MEAN",
    "MODEL.PIXEL_STD",
    "MODEL.WEIGHTS",
    "OUTPUT_DIR",
    "SEED",
    "SOLVER.AMP.ENABLED",
    "SOLVER.BASE_LR",
    "SOLVER.CHECKPOINT_PERIOD",
    "SOLVER.CLIP_GRADIENTS.CLIP_TYPE",
    "SOLVER.CLIP_GRADIENTS.CLIP_VALUE",
    "SOLVER.CLIP_GRADIENTS.ENABLED",
    "SOLVER.CLIP_GRADIENTS.NORM_TYPE",
    "SOLVER.IMS_PER_BATCH",
    "SOLVER.MAX_ITER",
    "SOLVER.WARMUP_FACTOR",
    "SOLVER.WARMUP_ITERS",
    "SOLVER.WARMUP_METHOD",
    "SOLVER.WEIGHT_DECAY",
    "SOLVER.WEIGHT_DECAY_NORM",
    "TEST.EVAL_PERIOD",
    "VERSION",
}
# What to set in their place, for the ones that people try.
INSTEAD = {
    "DATASETS.TRAIN": "DATASETS.LABELED and DATASETS.UNLABELED",
    "INPUT.CROP": "INPUT.CROP_SIZE",
    "INPUT.MIN_SIZE_TEST": "INPUT.TEST_BASE_SIZE or INPUT.TEST_SCALE",
    "INPUT.MAX_SIZE_TEST": "INPUT.TEST_BASE_SIZE",
    "INPUT.RANDOM_FLIP": "INPUT.FLIP and INPUT.ROTATE90",
    "MODEL.BACKBONE": "MODEL.<STUDENT>.BACKBONE",
    "MODEL.CO2S.FUSION": "MODEL.FUSION",
    "MODEL.CO2S.STUDENT_MAPS": "MODEL.STUDENT_MAPS",
    "MODEL.SEM_SEG_HEAD": "MODEL.<STUDENT>.HEAD and MODEL.NUM_CLASSES",
    "SOLVER.LR_SCHEDULER_NAME": 'SOLVER.SCHEDULE, "poly" or "cosine"',
}


class Given:
    """Values by dotted key, in levels: the deepest base first, the command line last."""

    def __init__(self, levels: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """levels: (where, {key: value})."""
        self.levels = list(levels)

    def level(self, key: str) -> int:
        """The last level at which a key is given, -1: nowhere."""
        found = [number for number, (_, values) in enumerate(self.levels) if key in values]
        return found[-1] if found else -1

    def where(self, key: str) -> str:
        return self.levels[self.level(key)][0]

    def get(self, key: str) -> Any:
        """The value that counts; None where the key is not given."""
        number = self.level(key)
        return None if number < 0 else self.levels[number][1][key]

    def __contains__(self, key: str) -> bool:
        return self.level(key) >= 0


def read_given(file: str, opts: Sequence[Any]) -> Given:
    """Everything that a configuration file ("" for none) and `KEY VALUE ...` give.

    FileNotFoundError for a missing file or base; ValueError for what is no YAML, for YAML that
    would run code, and for a key without a value.
    """
    levels = list(_levels(Path(file), ())) if file else []
    if len(opts) % 2:
        raise ValueError(
            f"The options {list(opts)} must be pairs of KEY VALUE; the last one has no value."
        )
    keys = [str(key) for key in opts[0::2]]
    levels.append(("the command line", dict(zip(keys, opts[1::2], strict=True))))
    return Given(levels)


def check_keys(given: Given, cfg: CfgNode) -> None:
    """ValueError for keys that do not exist, with their neighbours, and for keys nothing reads.

    cfg: the defaults. A key that nothing reads may be given with its default value, as every
    written-down configuration does.
    """
    foreign = {*key_names(get_cfg())} - READ
    for where, values in given.levels:
        known = {key for key in values if _has(cfg, key)}
        absent = [key for key in values if key not in known and not _is_dump(values, key)]
        old = [key for key in absent if key in INSTEAD]
        if len(old) < len(absent):
            raise ValueError(unknown_message([key for key in absent if key not in old], cfg, where))
        unread = [key for key in known if any(_within(name, key) for name in foreign)]
        changed = _changed({key: values[key] for key in unread}, cfg, where)
        if old or changed:
            raise ValueError(f"{where} sets {_with_advice([*old, *changed])}")


def plain(value: Any) -> Any:
    """The value with lists in place of tuples, as a file gives them back."""
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def _within(name: str, key: str) -> bool:
    return name == key or name.startswith(f"{key}.")


def _changed(values: dict[str, Any], cfg: CfgNode, where: str) -> list[str]:
    """The keys whose values are not the default ones."""
    probe = cfg.clone()
    try:
        probe.merge_from_list([part for pair in values.items() for part in pair])
    except ValueError as error:  # another type: not the default
        raise ValueError(f"{where}: {error}") from error
    return sorted(key for key in values if plain(value_at(probe, key)) != plain(value_at(cfg, key)))


def _is_dump(values: dict[str, Any], key: str) -> bool:
    """Whether a key is a detector's, in a file that has all of them: detectron2 wrote it."""
    sections = [section for section in DETECTION_ONLY if _within(key, section)]
    return bool(sections) and all(
        any(_within(other, section) for other in values) for section in DETECTION_ONLY
    )


def _with_advice(keys: Sequence[str]) -> str:
    advice = []
    for key in keys:
        parts = key.split(".")
        near = (INSTEAD.get(".".join(parts[:n])) for n in range(len(parts), 0, -1))
        instead = next((text for text in near if text), None)
        advice.append(f"{key} (set {instead})" if instead else key)
    return f"{', '.join(advice)}: nothing here reads that. Take it out."


def _levels(path: Path, above: tuple[Path, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file's own keys after those of its bases."""
    if not path.is_file():
        named = f", the _BASE_ of {above[-1]}" if above else ""
        raise FileNotFoundError(
            f"The configuration file {path}{named} is missing, seen from {Path.cwd()}."
        )
    if path.resolve() in [other.resolve() for other in above]:
        raise ValueError(f"The configuration file {path} is its own _BASE_.")
    content = _load(path)
    base = content.pop("_BASE_", [])
    for name in [base] if isinstance(base, str) else base:
        yield from _levels(path.parent / Path(name).expanduser(), (*above, path))
    yield str(path), dict(_leaves(content))


def _load(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig")) or {}
    except yaml.constructor.ConstructorError as error:
        raise ValueError(
            f"The configuration file {path} holds YAML that would run code: {error.problem} "
            f"{error.problem_mark}. Write plain values."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"The configuration file {path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"The configuration file {path} must hold keys, found {content!r}.")
    return content


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of everything that is no section; an empty section is a leaf."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def value_at(cfg: CfgNode, key: str) -> Any:
    """What stands at a dotted key, None where there is no such key."""
    node: Any = cfg
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return None
        node = node[part]
    return node


def _has(cfg: CfgNode, key: str) -> bool:
    section, _, last = key.rpartition(".")
    node = value_at(cfg, section) if section else cfg
    return isinstance(node, dict) and last in node
