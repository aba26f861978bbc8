"""Files in the authors' checkpoint format (method section 9) with seeded values, of any size."""

import torch

HEAD = {"dim": 128, "up": (64, 32), "skip": (32, 16)}
SMALL = 0.1  # of the tokens before the first norm: large ones would not feel its eps
VIT_B = {"width": 768, "depth": 12, "patch": 16, "head_dim": 64}
TINY = {  # of the tests' tiny_cfg
    "embed": 24,
    "grid": 4,
    "vit": {"width": 32, "depth": 2, "patch": 8, "head_dim": 16},
    "head": {"dim": 32, "up": (32, 16), "skip": (8, 4)},
}


def write_pair(folder, *, classes=6, embed=512, grid=14, seed=0, vit=VIT_B, head=HEAD):
    """Write best_clip.pth and best_dinov3.pth; returns both files' tensors, by unprefixed names."""
    draw = Draw(seed)
    pair = {
        "global": clip(draw, classes, embed, grid, vit) | decoder(draw, embed, vit["width"], head),
        "local": dinov3(draw, classes, vit) | decoder(draw, vit["width"], vit["width"], head),
    }
    for name, file in (("global", "best_clip.pth"), ("local", "best_dinov3.pth")):
        write(folder / file, pair[name])
    return pair


def write(path, tensors):
    model = {f"module.{name}": value for name, value in tensors.items()}
    optimizer = {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 1e-4}]}
    torch.save({"model": model, "optimizer": optimizer, "epoch": 3}, path)


class Draw:
    """Seeded values at which every activation stays near 1."""

    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape, std=0.05, mean=0.0):
        return torch.randn(*shape, generator=self.generator) * std + mean

    def weight(self, *shape, gain=1.0):
        """A weight whose outputs have about the inputs' spread."""
        return self(*shape, std=gain / torch.Size(shape[1:]).numel() ** 0.5)

    def affine(self, name, *shape, gain=1.0):
        return {
            f"{name}.weight": self.weight(*shape, gain=gain),
            f"{name}.bias": self(shape[0], std=0.1),
        }

    def norm(self, name, width):
        return {f"{name}.weight": self(width, std=0.1, mean=1.0), f"{name}.bias": self(width)}

    def attention(self, name, width, gain=1.0):
        return {
            f"{name}.in_proj_weight": self.weight(3 * width, width, gain=gain),
            f"{name}.in_proj_bias": self(3 * width, std=0.1),
            **self.affine(f"{name}.out_proj", width, width),
        }


def clip(draw, classes, embed, grid, vit):
    width, patch = vit["width"], vit["patch"]
    text = draw(classes, embed, std=1.0)
    tensors = {
        "cls_token": draw(1, 1, width, std=SMALL),
        "pos_embed": draw(1, 1 + grid * grid, width, std=SMALL),
        "patch_embed.projection.weight": draw.weight(width, 3, patch, patch, gain=SMALL),
        **draw.norm("ln0", width),
        **draw.norm("ln1", width),
        "proj.weight": draw.weight(embed, width, 1, 1),
    }
    for i in range(vit["depth"]):
        p = f"layers.{i}."
        tensors |= draw.norm(p + "ln1", width) | draw.norm(p + "ln2", width)
        tensors |= draw.attention(p + "attn.attn", width)
        tensors |= draw.affine(p + "ffn.layers.0.0", 4 * width, width)
        tensors |= draw.affine(p + "ffn.layers.1", width, 4 * width)
    tensors = {f"backbone.{name}": value for name, value in tensors.items()}
    return {"_cached_text": text / text.norm(dim=1, keepdim=True)} | tensors


def dinov3(draw, classes, vit):
    width, patch, quarter = vit["width"], vit["patch"], vit["head_dim"] // 4
    tensors = {
        "cls_token": draw(1, 1, width, std=SMALL),
        "storage_tokens": draw(1, 4, width, std=SMALL),
        "mask_token": draw(1, width),
        "rope_embed.periods": (100 ** (torch.arange(quarter) / quarter)).bfloat16(),
        **draw.affine("patch_embed.proj", width, 3, patch, patch, gain=SMALL),
        **draw.norm("norm", width),
    }
    for i in range(vit["depth"]):
        p = f"blocks.{i}."
        tensors |= draw.norm(p + "norm1", width) | draw.norm(p + "norm2", width)
        # A bias of the key that the mask must silence.
        tensors |= draw.affine(p + "attn.qkv", 3 * width, width)
        tensors[p + "attn.qkv.bias_mask"] = torch.tensor([1.0, 0, 1]).repeat_interleave(width)
        tensors |= draw.affine(p + "attn.proj", width, width)
        tensors |= draw.affine(p + "mlp.fc1", 4 * width, width)
        tensors |= draw.affine(p + "mlp.fc2", width, 4 * width)
        for scale in ("ls1", "ls2"):
            tensors[f"{p}{scale}.gamma"] = draw(width, std=0.1, mean=0.5)
    tensors = {f"backbone.{name}": value for name, value in tensors.items()}
    return {"text_provider.emb.weight": draw(classes, width, std=0.02)} | tensors


def decoder(draw, vectors, width, sizes):
    dim, both = sizes["dim"], sizes["dim"] + 128
    tensors = {
        **draw.affine("conv1", dim, 1, 7, 7, gain=10.0),
        **draw.affine("text_proj.0", 128, vectors, gain=10.0),
        **draw.affine("head", 1, sizes["up"][1], 3, 3),
    }
    for i, kernel in enumerate((1, 3, 3, 3)):
        p = f"aspp.aspp_convs.{i}."
        tensors[p + "0.weight"] = draw.weight(dim, dim, kernel, kernel)
        tensors |= draw.norm(p + "1", dim)
    tensors["aspp.aspp_convs.4.gap.1.weight"] = draw.weight(dim, dim, 1, 1)
    tensors |= draw.norm("aspp.aspp_convs.4.gap.2", dim)
    tensors["aspp.project.0.weight"] = draw.weight(dim, 5 * dim, 1, 1)
    tensors |= draw.norm("aspp.project.1", dim)
    for i in range(2):
        p = f"layers.{i}.transformer."
        tensors |= draw.norm(p + "ln1", both) | draw.norm(p + "ln2", both)
        tensors |= draw.attention(p + "attn.attn", both)
        tensors |= draw.affine(p + "ffn.layers.0.0", 4 * dim, both)
        tensors |= draw.affine(p + "ffn.layers.1", both, 4 * dim)
    ins = (dim, sizes["up"][0])
    for i, (c_in, c_out, skip) in enumerate(zip(ins, sizes["up"], sizes["skip"], strict=True)):
        p = f"up{i + 1}."
        tensors |= draw.affine(f"skip_proj.{i}.0", skip, width, 3, 3)
        tensors[p + "up.weight"] = draw(c_in, c_in - skip, 2, 2, std=c_in**-0.5)
        tensors[p + "up.bias"] = draw(c_in - skip)
        tensors[p + "conv.0.weight"] = draw.weight(c_out, c_in, 3, 3)
        tensors |= draw.norm(p + "conv.1", c_out)
        tensors[p + "conv.3.weight"] = draw.weight(c_out, c_out, 3, 3)
        tensors |= draw.norm(p + "conv.4", c_out)
    return {f"decode_head.{name}": value for name, value in tensors.items()}
