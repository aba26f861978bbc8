"""What the datasets of a configuration declare: classes, their concepts, bands."""

from typing import NamedTuple

from co2s.d2 import CfgNode, MetadataCatalog

Names = tuple[str, ...]


class Classes(NamedTuple):
    """Names and concepts of a dataset's classes, in order; all empty: no dataset declares any."""

    dataset: str = ""
    names: Names = ()
    concepts: tuple[Names, ...] = ()


def declared_classes(cfg: CfgNode) -> Classes:
    """Those of the first dataset that declares classes, the training sets before the test sets.

    A class of a dataset without concepts stands for itself.
    """
    for name in (*cfg.DATASETS.LABELED, *cfg.DATASETS.TEST):
        metadata = MetadataCatalog.get(name)
        names = tuple(metadata.get("stuff_classes", ()))
        if names:
            concepts = metadata.get("concepts", None) or [(label,) for label in names]
            return Classes(name, names, tuple(tuple(words) for words in concepts))
    return Classes()


def num_classes(cfg: CfgNode) -> int:
    """MODEL.NUM_CLASSES, or as many as the first dataset of the configuration declares."""
    count = cfg.MODEL.NUM_CLASSES or len(declared_classes(cfg).names)
    if count:
        return count
    raise ValueError(
        f"MODEL.NUM_CLASSES is 0 and none of DATASETS.LABELED {cfg.DATASETS.LABELED} and "
        f"DATASETS.TEST {cfg.DATASETS.TEST} declares classes. Set the one or name the other."
    )


def num_bands(cfg: CfgNode) -> int:
    """MODEL.NUM_BANDS, or as many as the first dataset of the configuration has; else 3."""
    data = cfg.DATASETS
    names = (*data.LABELED, *data.TEST, *data.UNLABELED)
    declared = (MetadataCatalog.get(name).get("num_bands", 0) for name in names)
    return cfg.MODEL.NUM_BANDS or next((bands for bands in declared if bands), 3)


def check_bands(cfg: CfgNode) -> None:
    """ValueError where the images of a dataset have not as many bands as the model takes."""
    data, wanted = cfg.DATASETS, num_bands(cfg)
    names = (*data.LABELED, *data.UNLABELED, *data.VAL, *data.TEST)
    found = {name: MetadataCatalog.get(name).get("num_bands", wanted) for name in names}
    if other := {name: bands for name, bands in found.items() if bands != wanted}:
        listed = ", ".join(f"{name} {bands}" for name, bands in other.items())
        raise ValueError(
            f"The model takes images of {wanted} bands, and there are other datasets: {listed}. "
            "Have `raster: {bands: [...]}` in their specs name as many, in the same order."
        )
