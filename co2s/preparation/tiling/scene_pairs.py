"""Finding the scenes of a raw distribution: images and their masks, by name."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ScenePair:
    """A scene: its name, its image and its mask."""

    name: str
    image: Path
    label: Path


def find_scenes(root: Path, images: str, labels: str) -> list[ScenePair]:
    """Images and masks anywhere under root whose path ends as the patterns say, by `{scene}`.

    FileNotFoundError names what was expected and found; also where a scene
    has no mask. ValueError where it has two.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"The folder of the raw distribution is missing: {root}.")
    below = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    # `._NAME.tif` of macOS is no scene, whatever its name says.
    paths = sorted(p.as_posix() for p in below if not any(part[0] == "." for part in p.parts))
    found = [_by_scene(root, paths, pattern) for pattern in (images, labels)]
    for pattern, files in zip((images, labels), found, strict=True):
        if not files:
            some = ", ".join(paths[:5]) or "nothing"
            raise FileNotFoundError(
                f"{root} holds no file '{pattern}', in whatever folder below it. Found are "
                f"{len(paths)} files: {some}. Say with --images and --labels how they are called."
            )
    alone = sorted(set(found[0]) - set(found[1]))
    if alone:
        raise FileNotFoundError(
            f"{len(alone)} of {len(found[0])} scenes under {root} have no mask, the first: "
            f"{found[0][alone[0]]}, expected is '{labels.format(scene=alone[0])}'."
        )
    return [ScenePair(name, found[0][name], found[1][name]) for name in sorted(found[0])]


def _by_scene(root: Path, paths: list[str], pattern: str) -> dict[str, Path]:
    """The files that a pattern names; ValueError where it is no pattern, or names one twice."""
    before, part, after = pattern.partition("{scene}")
    if not part:
        raise ValueError(f"The pattern '{pattern}' must hold {{scene}}, as in '{{scene}}_RGB.tif'.")
    shape = re.compile(f"(?:.*/)?{re.escape(before)}(?P<scene>[^/]+){re.escape(after)}")
    found: dict[str, Path] = {}
    for path in paths:
        match = shape.fullmatch(path)
        if match is None:
            continue
        if match["scene"] in found:
            raise ValueError(
                f"Two files under {root} are '{pattern}' of the scene {match['scene']}: "
                f"{found[match['scene']]} and {root / path}. Take one of them away."
            )
        found[match["scene"]] = root / path
    return found
