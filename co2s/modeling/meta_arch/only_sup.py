"""OnlySup: students trained on the labelled images alone, the baseline of every table."""

from torch import Tensor

from co2s.d2 import META_ARCH_REGISTRY
from co2s.semi import mean_counts, supervised_loss
from co2s.structures import Batch

from .base import Method
from .stacking import Labeled


@META_ARCH_REGISTRY.register()
class OnlySup(Method):
    """Cross entropy on labelled crops for each student; no unlabelled image is looked at."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x = Labeled.stacked(batch["labeled"], self.device)
        count = (batch.get("counts") or mean_counts(x.masks))["x"]
        return {
            f"loss_sup_{name}": supervised_loss(student(x.images), x.target, count)
            for name, student in self.students.items()
        }
