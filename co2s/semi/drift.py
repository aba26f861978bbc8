"""Drift of pseudo-labels: what they amount to, counted by class, and the shares that follow.

Counts are sums over pixels, so that those of several steps and processes can be added up.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
from torch import Tensor

from co2s.structures import IGNORE_LABEL, PseudoLabel

from .counting import pixels_by_class

Counts = dict[str, Tensor]  # by name: (N,) of every class, or one number


def count_labels(
    labels: Mapping[str, PseudoLabel],
    thresholds: Mapping[str, float | Tensor],
    num_classes: int,
    truth: Tensor | None = None,
) -> Counts:
    """What the students' labels of the same weak views amount to, int64 on the labels' device.

    For each student s, by the class that it names: "labeled/s" valid pixels, "kept/s" those at or
    above its threshold and, with truth (B, H, W), where it is known (255: unknown), "known/s" of
    the kept ones and "right/s". For two students or more "agree", the pixels on which two name the
    same class, summed over the pairs.
    """
    counts: Counts = {}
    for name, own in labels.items():
        kept = own.kept(thresholds[name])
        masks = {"labeled": own.valid, "kept": kept}
        if truth is not None:
            known = kept & (truth != IGNORE_LABEL)
            masks |= {"known": known, "right": known & (own.label == truth)}
        for what, mask in masks.items():
            counts[f"{what}/{name}"] = pixels_by_class(own.label, mask, num_classes)
    same = [
        pixels_by_class(one.label, one.valid & (one.label == two.label), num_classes)
        for one, two in combinations(labels.values(), 2)
    ]
    return counts | ({"agree": torch.stack(same).sum(dim=0)} if same else {})


def count_purified(
    before: Mapping[str, PseudoLabel],
    after: Mapping[str, PseudoLabel],
    thresholds: Mapping[str, float | Tensor],
    num_classes: int,
    truth: Tensor | None = None,
) -> Counts:
    """What a purifier makes of the students' labels, beside `count_labels` of those after it.

    For each student s, by the class that it named before: "labeled_before/s" valid pixels,
    "kept_before/s", and with truth "known_before/s" and "right_before/s" of the kept ones; by the
    class that the purifier gave them "replaced/s", pixels of another class than before.
    """
    counts: Counts = {}
    for name, own in before.items():
        found = count_labels({name: own}, thresholds, num_classes, truth)
        counts |= {key.replace("/", "_before/", 1): value for key, value in found.items()}
        changed = own.valid & (after[name].label != own.label)
        counts[f"replaced/{name}"] = pixels_by_class(after[name].label, changed, num_classes)
    return counts


def drift_scalars(counts: Mapping[str, Tensor], class_names: Sequence[str]) -> dict[str, float]:
    """Shares in 0..1 from the counts of `count_labels`; what is a share of nothing is left out.

    "coverage/s": kept pixels of valid ones; "coverage/s/<class>": of those labelled as the class;
    "pseudo_share/s/<class>": kept pixels of the class, of all kept ones; "precision/s" and
    "precision/s/<class>": right ones of the kept ones whose truth is known; "agreement": valid
    pixels on which two students name the same class, and "agreement/<class>": of those that at
    least one of them names so. From a count "truth" (N,) of labelled pixels "label_share/<class>",
    from "teaches/s" the share of valid pixels where s is the teacher of the stability loss. From
    the counts of `count_purified` "coverage_before/s" and "precision_before/s", with those of the
    classes, and "replaced/s", the share of valid pixels that got another class.
    """
    parts = {name: value.double() for name, value in counts.items()}
    students = [name.removeprefix("labeled/") for name in parts if name.startswith("labeled/")]
    found: dict[str, Tensor] = {}
    for s in students:
        labeled, kept = parts[f"labeled/{s}"], parts[f"kept/{s}"]
        found |= _kept("", s, parts, class_names)
        found |= _by_class(f"pseudo_share/{s}", kept / kept.sum(), class_names)
        if f"replaced/{s}" in parts:
            found |= _kept("_before", s, parts, class_names)
            found[f"replaced/{s}"] = parts[f"replaced/{s}"].sum() / labeled.sum()
        if f"teaches/{s}" in parts:
            found[f"teaches/{s}"] = parts[f"teaches/{s}"] / labeled.sum()
    if "agree" in parts:
        found |= _agreement(parts["agree"], [parts[f"labeled/{s}"] for s in students], class_names)
    if "truth" in parts:
        found |= _by_class("label_share", parts["truth"] / parts["truth"].sum(), class_names)
    return {name: float(value) for name, value in found.items() if not value.isnan()}


def _kept(when: str, s: str, parts: Counts, class_names: Sequence[str]) -> Counts:
    """Coverage and, where the truth is known, precision of a student, as it is or "_before"."""
    labeled, kept = parts[f"labeled{when}/{s}"], parts[f"kept{when}/{s}"]
    found = {f"coverage{when}/{s}": kept.sum() / labeled.sum()}
    found |= _by_class(f"coverage{when}/{s}", kept / labeled, class_names)
    if f"known{when}/{s}" in parts:
        known, right = parts[f"known{when}/{s}"], parts[f"right{when}/{s}"]
        found[f"precision{when}/{s}"] = right.sum() / known.sum()
        found |= _by_class(f"precision{when}/{s}", right / known, class_names)
    return found


def _agreement(
    agree: Tensor, labeled: Sequence[Tensor], class_names: Sequence[str]
) -> dict[str, Tensor]:
    """Every student is in as many pairs as there are others."""
    named = torch.stack([*labeled]).sum(dim=0) * (len(labeled) - 1)
    whole = {"agreement": agree.sum() / (named.sum() / 2)}
    return whole | _by_class("agreement", agree / (named - agree), class_names)


def _by_class(name: str, values: Tensor, class_names: Sequence[str]) -> dict[str, Tensor]:
    return {f"{name}/{label}": value for label, value in zip(class_names, values, strict=True)}
