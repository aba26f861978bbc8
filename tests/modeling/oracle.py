"""A plain, slow, obvious Co2S: loops over classes and views, concatenations, separate passes."""

import torch
import torch.nn.functional as F


def up(x, size, align):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=align)


def conv_norm_relu(block, x):
    conv, norm = block[0], block[1]
    x = F.conv2d(x, conv.weight, padding=conv.padding, dilation=conv.dilation)
    return F.relu(F.group_norm(x, norm.num_groups, norm.weight, norm.bias, 1e-5))


def aspp(module, x):
    size = x.shape[-2:]
    parts = [conv_norm_relu(branch, x) for branch in module.branches]
    pooled = conv_norm_relu(module.pool, F.adaptive_avg_pool2d(x, 1))
    parts.append(up(pooled, size, True))
    return x + conv_norm_relu(module.project, torch.cat(parts, 1))


def attention(module, tokens):
    """Multi-head self-attention written out; tokens (L, C)."""
    width = tokens.shape[1]
    heads, d = module.num_heads, width // module.num_heads
    q, k, v = (tokens @ module.in_proj_weight.T + module.in_proj_bias).split(width, dim=1)
    out = []
    for h in range(heads):
        part = slice(h * d, (h + 1) * d)
        weights = (q[:, part] @ k[:, part].T / d**0.5).softmax(dim=1)
        out.append(weights @ v[:, part])
    return module.out_proj(torch.cat(out, 1))


def class_reasoning(layer, maps, guidance):
    """Maps: one (1, D, h, w) for each class; a transformer over the classes at each location."""
    h, w = maps[0].shape[-2:]
    pooled = [F.avg_pool2d(m, min(layer.pool, h, w)) for m in maps]
    out = [torch.zeros_like(p) for p in pooled]
    for y in range(pooled[0].shape[2]):
        for x in range(pooled[0].shape[3]):
            tokens = torch.stack(
                [torch.cat([p[0, :, y, x], g]) for p, g in zip(pooled, guidance, strict=True)]
            )
            tokens = tokens + attention(layer.attention, layer.norm1(tokens))
            tokens = tokens + layer.feed_forward(layer.norm2(tokens))
            for n, token in enumerate(tokens):
                mask = torch.zeros_like(out[n])
                mask[0, :, y, x] = 1
                out[n] = out[n] + mask * token[: layer.dim][None, :, None, None]
    return [m + up(o, (h, w), True) for m, o in zip(maps, out, strict=True)]


def upsample(module, x, skip):
    x = F.conv_transpose2d(x, module.up.weight, module.up.bias, stride=2)
    x = torch.cat([x, up(skip, x.shape[-2:], True)], 1)
    return conv_norm_relu(module.conv2, conv_norm_relu(module.conv1, x))


def head(module, maps, guidance):
    """Logits (B, N, 4h, 4w), image by image and class by class."""
    guidance = guidance / guidance.norm(dim=1, keepdim=True)
    projected = F.relu(guidance @ module.project_guidance.weight.T + module.project_guidance.bias)
    images = []
    for b in range(len(maps["dense"])):
        dense = maps["dense"][b]
        dense = dense / dense.norm(dim=0, keepdim=True)
        classes = []
        for t in guidance:
            similarity = (dense * t[:, None, None]).sum(0)[None, None]
            x = F.conv2d(similarity, module.embed.weight, module.embed.bias, padding=3)
            classes.append(aspp(module.spatial, x))
        for layer in module.class_layers:
            classes = class_reasoning(layer, classes, projected)
        deep = F.relu(module.project_deep(maps["skip_deep"][b : b + 1]))
        shallow = F.relu(module.project_shallow(maps["skip_shallow"][b : b + 1]))
        logits = [
            module.predict(upsample(module.up2, upsample(module.up1, x, deep), shallow))
            for x in classes
        ]
        images.append(torch.cat(logits, 1))
    return torch.cat(images)


def student(model, image, drop=None):
    """Logits (1, N, H, W) of an image (3, H, W); drop: a mask (C,) for each map, scaled already."""
    x = (image[None].float() - model.pixel_mean) / model.pixel_std
    maps = model.backbone(x)
    if drop is not None:
        maps = {k: m * drop[k][None, :, None, None] for k, m in maps.items()}
    return up(head(model.head, maps, model.guidance()), image.shape[-2:], False)


def masked_ce(logits, label, mask, denominator):
    total = logits.new_zeros(())
    log_p = logits.log_softmax(1)[0]
    for y, x in mask.nonzero().tolist():
        total = total - log_p[label[y, x], y, x]
    return total / max(denominator, 1)


def step(model, batch, tau, ramp):  # noqa: C901 (obvious, not short)
    """All losses of one training step, every view in its own pass."""
    losses = {}
    weak = {}
    items = batch["unlabeled"]
    for number, (name, net) in enumerate(model.students.items()):
        total, count = 0.0, 0
        for item in batch["labeled"]:
            mask = item["sem_seg"] != 255
            label = item["sem_seg"].clamp(max=254)
            total = total + masked_ce(student(net, item["image"]), label, mask, 1)
            count += int(mask.sum())
        losses[f"loss_sup_{name}"] = total / count / 2

        weak[name] = [student(net, item["image"]) for item in items]
        partner = [student(net, item["partner"]["image"]).detach() for item in items]
        valid_total = sum(int(item["valid"].sum()) for item in items)
        for view in (0, 1):
            total, count = 0.0, 0
            for item, own, other in zip(items, weak[name], partner, strict=True):
                box = item["cutmix"][view]
                image = torch.where(box, item["partner"]["strong"][view], item["strong"][view])
                probs = torch.where(box, other.softmax(1), own.detach().softmax(1))[0]
                valid = torch.where(box, item["partner"]["valid"], item["valid"])
                confidence, label = probs.max(0)
                kept = valid & (confidence >= tau)
                total = total + masked_ce(student(net, image), label, kept, 1)
                count += int(valid.sum())
            losses[f"loss_strong{view + 1}_{name}"] = 0.25 * total / count / 2
        total = 0.0
        for item, own in zip(items, weak[name], strict=True):
            generator = torch.Generator().manual_seed(item["seed"] + number * 0x9E3779B9)
            drop = {}
            for key in net.backbone(item["image"][None].float()):
                channels = net.backbone.output_shape()[key].channels
                drop[key] = (torch.rand(channels, generator=generator) >= 0.5).float() * 2
            confidence, label = own.detach().softmax(1)[0].max(0)
            kept = item["valid"] & (confidence >= tau)
            total = total + masked_ce(student(net, item["image"], drop), label, kept, 1)
        losses[f"loss_feature_{name}"] = 0.5 * total / valid_total / 2
    for me, other in (("global", "local"), ("local", "global")):
        total, count = 0.0, 0
        for item, mine, theirs in zip(items, weak[me], weak[other], strict=True):
            p, q = mine.softmax(1)[0], theirs.softmax(1)[0].detach()
            for y, x in item["valid"].nonzero().tolist():
                c_me, c_other = p[:, y, x].max().item(), q[:, y, x].max().item()
                if max(c_me, c_other) >= tau and c_other >= c_me:
                    total = total + ((p[:, y, x] - q[:, y, x]) ** 2).sum() / len(p)
                    count += 1
        losses[f"loss_stability_{me}"] = ramp * total / max(count, 1)
    return losses
