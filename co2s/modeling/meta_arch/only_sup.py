"""OnlySup: the pair trained on the labelled images alone, the baseline of every table."""

from typing import Any

from torch import Tensor

from co2s.d2 import META_ARCH_REGISTRY
from co2s.semi import supervised_loss

from .pair import StudentPair, stack


@META_ARCH_REGISTRY.register()
class OnlySup(StudentPair):
    """Cross entropy on labelled crops for each student; unlabelled items are not looked at."""

    def losses(self, batch: dict[str, list[dict[str, Any]]]) -> dict[str, Tensor]:
        images = stack(batch["labeled"], "image", self.device)
        target = stack(batch["labeled"], "sem_seg", self.device).long()
        return {
            f"loss_sup_{name}": supervised_loss(student(images), target)
            for name, student in self.students.items()
        }
