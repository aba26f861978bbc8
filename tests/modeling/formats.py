"""Writers of weight files in the formats of the projects they come from, and tiny models."""

import torch
from torch import nn


def seeded(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module with every parameter drawn anew, so that nothing is zero or one by chance."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return module


def meta_dinov3(vit, *, key_bias: float = 3.0) -> dict:
    """The state of timm's Eva as Meta's DINOv3 files have it: fused, masked qkv biases, periods."""
    state = {
        "mask_token": torch.ones(1, vit.embed_dim),
        "rope_embed.periods": vit.rope.periods.bfloat16(),
    }
    for name, tensor in vit.state_dict().items():
        if name.endswith("v_bias"):
            continue
        if name.endswith("q_bias"):
            stem = name.removesuffix("q_bias")
            value = vit.state_dict()[f"{stem}v_bias"]
            state[f"{stem}qkv.bias"] = torch.cat([tensor, torch.full_like(tensor, key_bias), value])
            mask = torch.ones_like(state[f"{stem}qkv.bias"])
            mask[len(tensor) : 2 * len(tensor)] = 0
            state[f"{stem}qkv.bias_mask"] = mask
            continue
        for old, new in (
            ("gamma_1", "ls1.gamma"),
            ("gamma_2", "ls2.gamma"),
            ("reg_token", "storage_tokens"),
        ):
            name = name.replace(old, new)
        state[name] = tensor
    return state


def openai_names(visual, text: dict | None = None) -> dict:
    """CLIP's whole state dict: the visual tower under `visual.`, and a text tower."""
    state = {f"visual.{name}": tensor for name, tensor in visual.state_dict().items()}
    text = text or {
        "token_embedding.weight": torch.randn(11, 16),
        "positional_embedding": torch.randn(7, 16),
        "transformer.resblocks.0.ln_1.weight": torch.randn(16),
        "ln_final.weight": torch.randn(16),
        "text_projection": torch.randn(16, 24),
        "logit_scale": torch.tensor(4.6),
    }
    return state | text


class Scripted(nn.Module):
    """Any nested state dict as a module that can be traced and saved as TorchScript."""

    def __init__(self, state: dict):
        super().__init__()
        for name, tensor in state.items():
            head, _, rest = name.partition(".")
            if not rest:
                self.register_buffer(head, tensor)
        heads = {name.partition(".")[0] for name in state if "." in name}
        for head in sorted(heads):
            part = {k[len(head) + 1 :]: v for k, v in state.items() if k.startswith(f"{head}.")}
            self.add_module(head, Scripted(part))

    def forward(self, x):
        return x + 1


class Malicious:
    """Pickles as a call of `print`: harmless here, any code elsewhere."""

    def __reduce__(self):
        return (print, ("this must never be printed",))
