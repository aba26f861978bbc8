"""MUCA (Wang et al., TGRS 2025): maps of all scales agree with a teacher's where it is certain.

The student sees a view with a hole in it, its average (MODEL.EMA_DECAY 0.99) the view without.
Channel attention that is learned with the student mixes the maps of the two.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from co2s.config import method_config
from co2s.d2 import META_ARCH_REGISTRY, CfgNode, configurable, get_event_storage
from co2s.layers import ChannelCrossAttention, check_dropout, draw_affine, same_scale
from co2s.semi import (
    certain,
    draw_holes,
    gaussian_ramp,
    map_consistency,
    mean_counts,
    prediction_consistency,
    pseudo_label_loss,
    supervised_loss,
)
from co2s.structures import Batch, PseudoLabel, UnlabeledItem, Views

from ..backbone.features import pad_to_multiple
from ..student import Student
from .base import Method
from .disturbed import filled, mean_prediction, moved, with_holes
from .stacking import Labeled, Unlabeled

GEOMETRY = 1 << 10  # the stream of the geometry's draws, beyond those of the teacher's passes


@method_config
def add_muca_config(cfg: CfgNode) -> None:
    cfg.MODEL.MUCA = CfgNode()
    node = cfg.MODEL.MUCA
    node.CONSISTENCY_WEIGHT = 3.0  # of predictions and maps at the end; at the start 0.7 % of it
    node.ATTENTION_WEIGHT = 0.25  # of what is decoded from the attention's maps
    node.HEADS = 3  # of the attention, each with all channels
    node.PASSES = 4  # of the teacher, that tell where it is certain; 0: everywhere
    node.NOISE = 0.1  # in those passes: standard deviation, on normalised images
    node.DROPOUT = 0.5  # in those passes: share of the channels of every map
    node.ENTROPY = (0.5, 1.0)  # shares of the highest, up to which it is certain: first and last
    node.ENTROPY_RAMP = 1 / 3  # share of the run over which the one becomes the other
    node.LN2 = False  # True: the highest entropy is ln 2 for any classes, as in the release
    node.AFFINE = (30.0, 0.2, 0.1)  # of unlabelled views: degrees, scale, shift, at most
    node.ERASED = 0.5  # share of the views whose hole stays; in the others a labelled image shows
    node.PASTED = False  # True: there the student is compared, too, as in the release


class Taught(NamedTuple):
    """What the teacher of a student makes of the weak views."""

    maps: dict[str, Tensor]
    logits: Tensor
    certain: Tensor  # (B, S, S) bool


class Attention(nn.Module):
    """Every map of a student looks at the same map of its teacher."""

    def __init__(self, student: Student, heads: int):
        super().__init__()
        self.head = nn.ModuleDict()  # trained as a head
        shapes: Any = student.backbone.output_shape()
        for name, shape in shapes.items():
            self.head[name] = ChannelCrossAttention(shape.channels, heads)

    def forward(self, own: dict[str, Tensor], taught: dict[str, Tensor]) -> dict[str, Tensor]:
        return {n: mix(own[n].float(), taught[n].float()) for n, mix in self.head.items()}


@META_ARCH_REGISTRY.register()
class MUCA(Method):
    """L = CE(x, y) + c (H(p) + sum over maps [teacher certain] H(map)) + 0.25 CE(mixed maps).

    For each student alone. H is Huber's loss between the student on a view with a hole and its
    teacher on the view without, c = 3 exp(-5 (1 - t)^2) at the share t of the run. The last term is
    of what the student's decoder makes of maps that attention has mixed, against the classes that
    the student names by itself.
    """

    ema_decay = 0.99

    @configurable
    def __init__(
        self,
        *,
        keys: CfgNode,
        area: tuple[float, float],
        aspect: tuple[float, float],
        max_iter: int,
        **base: Any,
    ):
        """keys: as `add_muca_config` adds them; area, aspect: of holes, as in `cutmix_box`.

        max_iter: steps of the run.
        """
        super().__init__(**base)
        check_dropout(keys.DROPOUT, "MODEL.MUCA.DROPOUT")
        if not 0 <= keys.AFFINE[1] < 1:
            raise ValueError(
                f"MODEL.MUCA.AFFINE is {tuple(keys.AFFINE)}; its second number, the scale, is a "
                "share from 0 to below 1: nothing would be left of a view."
            )
        self.keys, self.area, self.aspect, self.max_iter = keys, area, aspect, max_iter
        parts = {name: Attention(student, keys.HEADS) for name, student in self.learners.items()}
        self.attentions = nn.ModuleDict(parts)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        return super().from_config(cfg) | {
            "keys": cfg.MODEL.MUCA,
            "area": tuple(cfg.INPUT.CUTMIX.AREA),
            "aspect": tuple(cfg.INPUT.CUTMIX.ASPECT),
            "max_iter": cfg.SOLVER.MAX_ITER,
        }

    @classmethod
    def views(cls, cfg: CfgNode) -> Views:
        return Views()

    def stacked(self, items: Sequence[UnlabeledItem]) -> Unlabeled:
        """The weak views moved, with all that is known of their pixels, and the views with a hole.

        What is pasted into it is not there yet. Its pixels are none of the view's.
        """
        u, keys = Unlabeled.plain(items, self.device), self.keys
        degrees, scale, shift = keys.AFFINE
        u = moved(u, draw_affine(u.seeds, degrees, scale, shift, 0.5, stream=GEOMETRY))
        height, width = u.weak.shape[-2:]
        holes = draw_holes((height, width), u.seeds, keys.ERASED, self.area, self.aspect)
        student = next(iter(self.learners.values()))
        return with_holes(u, *holes, student.pixel_mean, u.valid & keys.PASTED)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x, u = Labeled.stacked(batch["labeled"], self.device), self.stacked(batch["unlabeled"])
        n = batch.get("counts") or mean_counts(x.masks | u.masks)
        losses: dict[str, Tensor] = {}
        weak: dict[str, Tensor] = {}
        labels: dict[str, PseudoLabel] = {}
        for number, (name, labeler) in enumerate(self.labelers.items()):
            own = self.teach(number, name, u)
            weak[name] = own.logits
            labels[name] = self.label(name, labeler, u, own.logits)["weak"]
            losses |= self.terms(name, own, x, u, n)
        self.watch(x, u, weak, labels)
        return losses

    @torch.no_grad()
    def teach(self, number: int, name: str, u: Unlabeled) -> Taught:
        """What the teacher of the student of that number sees and says, and where it is certain."""
        teacher = self.labeling[name]
        maps = teacher.features(u.weak)
        logits = teacher.decode(maps, u.weak.shape[-2:])
        return Taught(maps, logits, self.certainty(number, teacher, u))

    def certainty(self, number: int, teacher: Student, u: Unlabeled) -> Tensor:
        """(B, S, S) bool: where the mean of the teacher's passes has little entropy.

        Once any entropy is little enough there are none.
        """
        keys, (first, last) = self.keys, self.keys.ENTROPY
        threshold = first + (last - first) * gaussian_ramp(self.progress, keys.ENTROPY_RAMP)
        if not keys.PASSES or (threshold >= 1 and not keys.LN2):
            return torch.ones_like(u.valid)
        mean = mean_prediction(teacher, u, keys.PASSES, keys.NOISE, keys.DROPOUT, number)
        return certain(mean, threshold, relative=not keys.LN2)

    def terms(
        self, name: str, own: Taught, x: Labeled, u: Unlabeled, n: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """A student's weighted losses; n: what they are means over, of all processes."""
        student, size = self.learners[name], x.images.shape[-2:]
        maps = student.features(torch.cat([x.images, filled(x, u)]))
        strong = {key: value[len(x.images) :] for key, value in maps.items()}
        on_labeled, on_strong = student.decode(maps, size).split([len(x.images), len(u.weak)])
        mixed = student.decode(self.attentions[name](strong, own.maps), size)
        mask, count, weight = u.masks["strong1"], n["strong1"], self.weight_now()
        named = PseudoLabel.from_logits(on_strong, mask)
        agree = prediction_consistency(on_strong, own.logits, mask, count)
        alike = self.compare(student, strong, own.maps, mask & own.certain, count)
        attention = pseudo_label_loss(mixed, named, 0.0, count)
        return {
            f"loss_sup_{name}": supervised_loss(on_labeled, x.target, n["x"]),
            f"loss_consistency_{name}": weight * agree,
            f"loss_maps_{name}": weight * alike,
            f"loss_attention_{name}": self.keys.ATTENTION_WEIGHT * attention,
        }

    def compare(
        self,
        student: Student,
        own: dict[str, Tensor],
        taught: dict[str, Tensor],
        mask: Tensor,
        count: Tensor,
    ) -> Tensor:
        """The sum over the backbone's maps of their consistency where mask (B, S, S) is True."""
        mask = pad_to_multiple(mask[:, None], student.backbone.size_divisibility)[:, 0]
        total = torch.zeros((), device=mask.device)
        shapes: Any = student.backbone.output_shape()
        for name in shapes:
            one, two = (same_scale(maps[name].float()) for maps in (own, taught))
            total = total + map_consistency(one, two, mask, count)
        return total

    def weight_now(self) -> float:
        """c of this step."""
        weight = self.keys.CONSISTENCY_WEIGHT * gaussian_ramp(self.progress)
        get_event_storage().put_scalar("consistency_weight", weight, smoothing_hint=False)
        return weight

    def startable(self) -> dict[str, nn.Module]:
        return super().startable() | {"attentions.": self.attentions}
