"""The exported network as one function: a tile in, class probabilities out."""

import torch
from torch import Tensor, nn

from co2s.layers import resize
from co2s.modeling.meta_arch.students import Students
from co2s.modeling.temperature import FUSED
from co2s.semi import confidence_fusion

BATCH = 2  # of the example that the graph is traced with: 1 would be taken for a constant
# So much more than the second class: a difference that survives float32.
ABOVE = 1 + 2.0**-21


class Graph(nn.Module):
    """What `Students.inference` computes for a tile that is one window, as a static graph.

    Normalisation, the resize to the scale of the networks, their fusion and temperatures are inside
    it. Square tiles of `tile` pixels, batches of any size.
    """

    def __init__(self, model: Students, tile: int, scale: float = 1.0) -> None:
        super().__init__()
        names = [*model.students]
        # By number: a name, such as "global", need be none that a graph can have.
        self.students = nn.ModuleList(model.students[name] for name in names)
        self.fusion = model.fusion
        known = model.temperatures.values()
        self.temperature = known[FUSED if len(names) > 1 else names[0]]
        self.tile, self.side = tile, max(round(tile * scale), 1)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, tile, tile) in 0..1 -> probabilities (B, N, tile, tile)."""
        probs = self.alone(images)
        if len(probs) == 1:
            fused = probs[0]
        elif self.fusion == "mean":
            fused = torch.stack(probs).mean(dim=0)
        else:
            fused = confidence_fusion(*probs)
        return tempered(fused, self.temperature)

    def alone(self, images: Tensor) -> list[Tensor]:
        """The probabilities of each student before fusion and temperature."""
        x = resize(images * 255.0, (self.side, self.side), align_corners=False)
        size = (self.tile, self.tile)
        logits = (resize(student(x), size, align_corners=True) for student in self.students)
        return [part.softmax(dim=1) for part in logits]

    def example(self) -> Tensor:
        """Images of the right shape; what is in them is of no account."""
        bands = len(self.students[0].pixel_mean)  # type: ignore[arg-type]
        return torch.full((BATCH, bands, self.tile, self.tile), 0.5)


def tempered(probs: Tensor, temperature: float) -> Tensor:
    """As in `co2s.modeling.temperature`, for a batch (B, N, H, W), without a branch on values."""
    if temperature == 1.0:
        return probs
    powers = probs.pow(1 / temperature)
    result = powers / powers.sum(dim=1, keepdim=True).clamp(min=torch.finfo(probs.dtype).tiny)
    top, new = probs.argmax(dim=1, keepdim=True), result.argmax(dim=1, keepdim=True)
    classes = torch.arange(probs.shape[1], device=probs.device).view(1, -1, 1, 1)
    raised = (classes == top) & (new != top)
    return torch.where(raised, result.amax(dim=1, keepdim=True) * ABOVE, result)
