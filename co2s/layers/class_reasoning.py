"""Class reasoning: at every pooled location the class maps look at each other."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .resample import resize


class ClassReasoning(nn.Module):
    """One pre-norm transformer layer over the classes (method section 2, step 4)."""

    def __init__(self, dim: int, guidance_dim: int, heads: int, pool: int):
        super().__init__()
        width = dim + guidance_dim
        self.dim, self.pool = dim, pool
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.feed_forward = nn.Sequential(
            nn.Linear(width, 4 * dim), nn.GELU(), nn.Linear(4 * dim, width)
        )

    def forward(self, x: Tensor, guidance: Tensor) -> Tensor:
        """Class maps (B, N, D, h, w), projected guidance (N, G) -> class maps (B, N, D, h, w)."""
        b, n, d, h, w = x.shape
        pooled = F.avg_pool2d(x.flatten(0, 1), min(self.pool, h, w))
        ph, pw = pooled.shape[-2:]
        tokens = pooled.view(b, n, d, ph * pw).permute(0, 3, 1, 2).reshape(b * ph * pw, n, d)
        tokens = torch.cat([tokens, guidance.expand(tokens.shape[0], -1, -1)], dim=2)
        tokens = self._transform(tokens)[..., : self.dim]
        maps = tokens.view(b, ph, pw, n, d).permute(0, 3, 4, 1, 2).reshape(b * n, d, ph, pw)
        return x + resize(maps, (h, w), align_corners=True).view(b, n, d, h, w)

    def _transform(self, tokens: Tensor) -> Tensor:
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        return tokens + self.feed_forward(self.norm2(tokens))
