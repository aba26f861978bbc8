"""Attention weights of a backbone's layer, exactly as the backbone computes them."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .clip_vit import CLIPViT
from .features import DENSE


@dataclass(frozen=True)
class Attention:
    """Attention of one layer to all tokens: class token, registers, then patches row by row."""

    weights: Tensor  # (B, heads, L, L): row = the token that asks; rows sum to 1
    grid: tuple[int, int]  # rows and columns of patches, padding included
    layer: int  # counted from 0
    layers: int  # how many the backbone runs
    has_class_token: bool
    used: bool  # False: the maps depend on this layer's value path only (CLIP's last)

    @property
    def prefix(self) -> int:
        """How many tokens stand before the patches."""
        return self.weights.shape[-1] - self.grid[0] * self.grid[1]

    def to_patches(self, patch: tuple[int, int] | None = None) -> Tensor:
        """What the class token, or the patch (row, column), gives to every patch: (B, heads, h, w).

        Sums to less than 1 where other tokens get the rest. ValueError names what there is.
        """
        rows, columns = self.grid
        if patch is None:
            if not self.has_class_token:
                raise ValueError("This backbone has no class token; ask for a patch's attention.")
            token = 0
        else:
            row, column = patch
            if not (0 <= row < rows and 0 <= column < columns):
                raise ValueError(
                    f"There is no patch {patch}: the image has {rows} x {columns} of them, "
                    f"(0, 0) to ({rows - 1}, {columns - 1})."
                )
            token = self.prefix + row * columns + column
        return self.weights[:, :, token, self.prefix :].unflatten(-1, self.grid)


@dataclass(frozen=True)
class Call:
    """With what an attention module was called."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@torch.no_grad()
def attention_of(backbone: nn.Module, images: Tensor, layer: int = -1) -> Attention:
    """Attention of a layer for normalised images (B, C, H, W); -1 is the last layer.

    Works for any backbone whose layers call their attention `attn`, as open_clip's and timm's do.
    Layers that the backbone does not run, as its dense map is an earlier one's, are not counted.
    ValueError where there is no such layer.
    """
    calls: list[Call] = []
    with ExitStack() as stack:
        for module in attention_modules(backbone):
            hook = module.register_forward_pre_hook(_recorder(calls), with_kwargs=True)
            stack.callback(hook.remove)
        last = _last_clip_layer(backbone, stack)
        maps = backbone(images)
    used = len(calls)
    calls += last()
    if not -len(calls) <= layer < len(calls):
        raise ValueError(
            f"There is no layer {layer}: this backbone runs layers 0 to {len(calls) - 1}; "
            "-1 is the last."
        )
    layer %= len(calls)
    rows, columns = maps[DENSE].shape[-2:]
    return Attention(
        weights=attention_weights(calls[layer]),
        grid=(rows, columns),
        layer=layer,
        layers=len(calls),
        has_class_token=_has_class_token(backbone),
        used=layer < used,
    )


def attention_modules(backbone: nn.Module) -> list[nn.Module]:
    """The attention modules of all layers, the first layer's first."""
    children = (getattr(module, "attn", None) for module in backbone.modules())
    return [child for child in children if isinstance(child, nn.Module)]


def attention_weights(call: Call) -> Tensor:
    """The weights (B, heads, L, L) that an attention module has for a call's input."""
    if isinstance(call.module, nn.MultiheadAttention):
        kwargs = call.kwargs | {"need_weights": True, "average_attn_weights": False}
        return call.module(*call.args, **kwargs)[1]
    with _WeightsRecorder() as recorder:
        call.module(*call.args, **call.kwargs)
    if len(recorder.found) != 1:
        raise TypeError(
            f"{type(call.module).__name__} is no single softmax attention: {len(recorder.found)} "
            "were seen in it. Extend co2s/modeling/backbone/attention.py to read its weights."
        )
    return recorder.found[0]


class _WeightsRecorder(TorchFunctionMode):
    """Sees the attention that passes PyTorch's fused function or, where it is off, a softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            self.found.append(fused_weights(*args, **kwargs))
        elif func is Tensor.softmax:
            self.found.append(result)
        return result


def fused_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    *,
    scale: float | None = None,
    **other: Any,
) -> Tensor:
    """The weights within F.scaled_dot_product_attention, which does not return them."""
    scores = query @ key.transpose(-2, -1) * (scale or query.shape[-1] ** -0.5)
    if attn_mask is not None:
        masks = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -torch.inf) if masks else scores + attn_mask
    return scores.softmax(dim=-1)


def _recorder(calls: list[Call]) -> Callable[..., None]:
    def record(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append(Call(module, args, kwargs))

    return record


def _last_clip_layer(backbone: nn.Module, stack: ExitStack) -> Callable[[], list[Call]]:
    """CLIPViT never runs its last layer's attention: a function that says how it would be called.

    Its input is what the layer before puts out, or the embedding where there is one layer only.
    """
    if not isinstance(backbone, CLIPViT):
        return list
    *before, last = backbone.visual.transformer.resblocks
    source = before[-1] if before else backbone.visual.ln_pre
    outputs: list[Tensor] = []
    hook = source.register_forward_hook(lambda module, args, output: outputs.append(output))
    stack.callback(hook.remove)

    def call() -> list[Call]:
        x = last.ln_1(outputs[-1])
        return [Call(last.attn, (x, x, x), {})]

    return call


def _has_class_token(backbone: nn.Module) -> bool:
    names = {name.rpartition(".")[2] for name, _ in backbone.named_parameters()}
    return bool(names & {"class_embedding", "cls_token"})
