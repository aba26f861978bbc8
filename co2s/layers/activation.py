"""QuickGELU, the activation of OpenAI's CLIP."""

import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 1.702


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), (*) -> (*).

    Written as a SiLU, of which only the input is kept for the backward pass: the plain form keeps
    three tensors of the layer's widest part.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.silu(SLOPE * x) / SLOPE
