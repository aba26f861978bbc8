"""Both students written out in plain torch on the tensors of the authors' files, by their names.

Nothing of co2s, timm or open_clip is used: method section 2, with the release's exact GELU,
LayerNorm eps 1e-6 in the backbones and the logits' way over 224 or 256 pixels (section 8).
"""

import math

import torch
import torch.nn.functional as F

MEAN = torch.tensor([123.675, 116.28, 103.53])[:, None, None]
STD = torch.tensor([58.395, 57.12, 57.375])[:, None, None]
BACKBONE_EPS, DECODER_EPS = 1e-6, 1e-5
LOGITS_SIZE = {"global": 224, "local": 256}


def student(name, t, images, **shape):
    """Images (B, 3, H, W) in 0..255 -> (deepest map, deep skip, shallow skip), logits."""
    backbone = clip if name == "global" else dinov3
    maps = backbone(t, (images.float() - MEAN) / STD, **shape)
    vectors = t["_cached_text"] if name == "global" else t["text_provider.emb.weight"]
    side = LOGITS_SIZE[name]
    logits = bilinear(decoder(t, vectors, *maps), (side, side), False)
    return maps, bilinear(logits, images.shape[-2:], False)


def clip(t, x, heads=12, skips=(0, 4)):
    """MaskCLIP: the value paths of three layers."""
    t = below(t, "backbone.")
    x = F.conv2d(
        x, t["patch_embed.projection.weight"], stride=t["patch_embed.projection.weight"].shape[-1]
    )
    h, w = x.shape[-2:]
    x = torch.cat([t["cls_token"].expand(len(x), 1, -1), x.flatten(2).transpose(1, 2)], 1)
    x = layer_norm(t, "ln0", x + positions(t["pos_embed"], h, w), BACKBONE_EPS)
    depth = count(t, "layers.")
    kept = {}
    for i in range(depth):
        p = f"layers.{i}."
        n = layer_norm(t, p + "ln1", x, BACKBONE_EPS)
        wq, wk, wv = t[p + "attn.attn.in_proj_weight"].chunk(3)
        bq, bk, bv = t[p + "attn.attn.in_proj_bias"].chunk(3)
        v = n @ wv.T + bv
        path = x + linear(t, p + "attn.attn.out_proj", v)
        kept[i] = path + clip_ffn(t, p, layer_norm(t, p + "ln2", path, BACKBONE_EPS))
        mixed = attention(n @ wq.T + bq, n @ wk.T + bk, v, heads)
        x = x + linear(t, p + "attn.attn.out_proj", mixed)
        x = x + clip_ffn(t, p, layer_norm(t, p + "ln2", x, BACKBONE_EPS))
    deepest = layer_norm(t, "ln1", kept[depth - 1][:, 1:], BACKBONE_EPS)
    deepest = deepest @ t["proj.weight"][:, :, 0, 0].T
    deepest = deepest / deepest.norm(dim=2, keepdim=True)
    return [image(y, h, w) for y in (deepest, kept[skips[1]][:, 1:], kept[skips[0]][:, 1:])]


def clip_ffn(t, p, x):
    return linear(t, p + "ffn.layers.1", F.gelu(linear(t, p + "ffn.layers.0.0", x)))


def positions(embedding, h, w):
    """The learned position embedding, cls first, for h x w patches."""
    side = math.isqrt(embedding.shape[1] - 1)
    grid = image(embedding[:, 1:], side, side)
    grid = F.interpolate(grid, size=(h, w), mode="bicubic", align_corners=False)
    return torch.cat([embedding[:, :1], grid.flatten(2).transpose(1, 2)], 1)


def dinov3(t, x, heads=12, skips=(2, 7)):
    """DINOv3: three blocks, each after the final LayerNorm."""
    t = below(t, "backbone.")
    weight, bias = t["patch_embed.proj.weight"], t["patch_embed.proj.bias"]
    x = F.conv2d(x, weight, bias, stride=weight.shape[-1])
    h, w = x.shape[-2:]
    prefix = torch.cat([t["cls_token"], t["storage_tokens"]], 1)
    x = torch.cat([prefix.expand(len(x), -1, -1), x.flatten(2).transpose(1, 2)], 1)
    sin, cos = rope(x.shape[2] // heads, h, w)
    depth = count(t, "blocks.")
    kept = []
    for i in range(depth):
        p = f"blocks.{i}."
        n = layer_norm(t, p + "norm1", x, BACKBONE_EPS)
        bias = t[p + "attn.qkv.bias"] * t[p + "attn.qkv.bias_mask"]
        q, k, v = (n @ t[p + "attn.qkv.weight"].T + bias).chunk(3, dim=2)
        q, k = (rotate(y, sin, cos, heads, prefix.shape[1]) for y in (q, k))
        mixed = linear(t, p + "attn.proj", attention(q, k, v, heads))
        x = x + t[p + "ls1.gamma"] * mixed
        n = layer_norm(t, p + "norm2", x, BACKBONE_EPS)
        n = linear(t, p + "mlp.fc2", F.gelu(linear(t, p + "mlp.fc1", n)))
        x = x + t[p + "ls2.gamma"] * n
        kept.append(layer_norm(t, "norm", x, BACKBONE_EPS)[:, prefix.shape[1] :])
    return [image(kept[i], h, w) for i in (depth - 1, skips[1], skips[0])]


def rope(dim, h, w):
    """Sine and cosine (h*w, dim) of every patch's rotation, in float32."""
    periods = 100.0 ** (torch.arange(dim // 4) / (dim // 4))
    y = (torch.arange(h) + 0.5) / h * 2 - 1
    x = (torch.arange(w) + 0.5) / w * 2 - 1
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).reshape(h * w, 2, 1)
    angles = (2 * math.pi * place / periods).reshape(h * w, dim // 2)
    angles = torch.cat([angles, angles], 1)
    return angles.sin(), angles.cos()


def rotate(x, sin, cos, heads, prefix):
    """Turn every head's pairs (i, i + d/2) of the patch tokens, not of the first `prefix`."""
    b, length, c = x.shape
    x = x.view(b, length, heads, c // heads)
    first, second = x[:, prefix:].chunk(2, dim=3)
    turned = torch.cat([-second, first], 3)
    patches = x[:, prefix:] * cos[:, None] + turned * sin[:, None]
    return torch.cat([x[:, :prefix], patches], 1).reshape(b, length, c)


def decoder(t, vectors, deepest, deep, shallow):
    """Section 2, steps 1 to 6: logits (B, N, 4h, 4w)."""
    t = below(t, "decode_head.")
    b, n = len(deepest), len(vectors)
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    deepest = deepest / deepest.norm(dim=1, keepdim=True)
    x = torch.einsum("bchw,nc->bnhw", deepest, vectors)
    x = conv(t, "conv1", x.reshape(b * n, 1, *x.shape[2:]), padding=3)
    x = x + aspp(t, x)
    guidance = F.relu(linear(t, "text_proj.0", vectors))
    for i in range(count(t, "layers.")):
        x = x + class_reasoning(t, f"layers.{i}.transformer.", x, guidance, b)
    for step, skip in ((1, deep), (2, shallow)):
        skip = F.relu(conv(t, f"skip_proj.{step - 1}.0", skip, padding=1))
        x = upsample(t, f"up{step}.", x, skip, n)
    return conv(t, "head", x, padding=1).view(b, n, *x.shape[-2:])


def aspp(t, x):
    parts = []
    for i, dilation in enumerate((0, 6, 12, 18)):
        p = f"aspp.aspp_convs.{i}."
        y = F.conv2d(x, t[p + "0.weight"], padding=dilation, dilation=max(dilation, 1))
        parts.append(F.relu(group_norm(t, p + "1", y)))
    y = F.conv2d(F.adaptive_avg_pool2d(x, 1), t["aspp.aspp_convs.4.gap.1.weight"])
    y = F.relu(group_norm(t, "aspp.aspp_convs.4.gap.2", y))
    parts.append(bilinear(y, x.shape[-2:], True))
    y = F.conv2d(torch.cat(parts, 1), t["aspp.project.0.weight"])
    return F.relu(group_norm(t, "aspp.project.1", y))


def class_reasoning(t, p, x, guidance, b):
    """The classes of every pooled place as tokens of a transformer layer; x (B*N, D, h, w)."""
    n, dim, size = len(guidance), x.shape[1], x.shape[-2:]
    pooled = F.avg_pool2d(x, 4)
    h, w = pooled.shape[-2:]
    tokens = pooled.view(b, n, dim, h, w).permute(0, 3, 4, 1, 2).reshape(b * h * w, n, dim)
    tokens = torch.cat([tokens, guidance.expand(len(tokens), -1, -1)], 2)
    normed = layer_norm(t, p + "ln1", tokens, DECODER_EPS)
    qkv = normed @ t[p + "attn.attn.in_proj_weight"].T + t[p + "attn.attn.in_proj_bias"]
    mixed = attention(*qkv.chunk(3, dim=2), heads=4)
    tokens = tokens + linear(t, p + "attn.attn.out_proj", mixed)
    normed = layer_norm(t, p + "ln2", tokens, DECODER_EPS)
    normed = F.gelu(linear(t, p + "ffn.layers.0.0", normed))
    tokens = (tokens + linear(t, p + "ffn.layers.1", normed))[..., :dim]
    maps = tokens.view(b, h, w, n, dim).permute(0, 3, 4, 1, 2).reshape(b * n, dim, h, w)
    return bilinear(maps, size, True)


def upsample(t, p, x, skip, n):
    x = F.conv_transpose2d(x, t[p + "up.weight"], t[p + "up.bias"], stride=2)
    skip = bilinear(skip, x.shape[-2:], True).repeat_interleave(n, 0)
    x = torch.cat([x, skip], 1)
    for i in (0, 3):
        x = F.conv2d(x, t[f"{p}conv.{i}.weight"], padding=1)
        x = F.relu(group_norm(t, f"{p}conv.{i + 1}", x))
    return x


def attention(q, k, v, heads):
    """Softmax attention of (B, L, C) tokens, head by head."""
    q, k, v = (x.unflatten(2, (heads, -1)).transpose(1, 2) for x in (q, k, v))
    weights = (q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(3)
    return (weights @ v).transpose(1, 2).flatten(2)


def linear(t, name, x):
    return x @ t[f"{name}.weight"].T + t[f"{name}.bias"]


def conv(t, name, x, padding):
    return F.conv2d(x, t[f"{name}.weight"], t[f"{name}.bias"], padding=padding)


def layer_norm(t, name, x, eps):
    x = x - x.mean(-1, keepdim=True)
    x = x / (x.square().mean(-1, keepdim=True) + eps).sqrt()
    return x * t[f"{name}.weight"] + t[f"{name}.bias"]


def group_norm(t, name, x):
    groups = max(x.shape[1] // 16, 1)
    return F.group_norm(x, groups, t[f"{name}.weight"], t[f"{name}.bias"], DECODER_EPS)


def bilinear(x, size, align):
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=align)


def image(tokens, h, w):
    """(B, h*w, C) -> (B, C, h, w)."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, h, w)


def below(t, prefix):
    return {name[len(prefix) :]: value for name, value in t.items() if name.startswith(prefix)}


def count(t, prefix):
    return 1 + max(int(name.split(".")[1]) for name in t if name.startswith(prefix))
