"""Multinomial logistic regression with soft targets: a linear layer, fitted once and for all."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

PENALTIES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # lambda, the strongest first
UNTRIED = 1e-2, 0.5  # penalty and shift where all rows are of one image, so that none is held out
SHIFTS = (0.0, 0.25, 0.5, 0.75, 1.0)  # tau
BIAS_PENALTY = 1e-6  # keeps the bias of a class that never occurs finite, and hardly moves others
FOLDS = 3


def fit_linear(
    features: Tensor, targets: Tensor, weights: Tensor, groups: Tensor, *, for_iou: bool = False
) -> tuple[Tensor, Tensor]:
    """Weight (N, C) and bias (N,) of the layer, float32, with logits `features @ weight.T + bias`.

    features (P, C), targets (P, N) shares of each class, weights (P,) how much a row counts,
    groups (P,) which image it is of. Features are standardised; of PENALTIES it takes the one with
    the least loss on images that were held out. The problem is convex and nothing is drawn: equal
    data give an equal layer. ValueError where no row counts, or a feature is not finite.

    The layer's softmax is meant as it is: a rare class seldom comes first. `for_iou` lowers the
    bias of each class by tau log(its share) (logit adjustment, Menon et al. 2021), with the tau of
    SHIFTS of the best mean IoU on the images that were held out.
    """
    counted = weights > 0
    if not bool(counted.any()):
        raise ValueError("There is not one labelled pixel to fit a linear layer to.")
    x, y, w = (part[counted].float() for part in (features, targets, weights))
    if not bool(x.isfinite().all()):
        raise ValueError("A linear layer cannot be fitted: some features are infinite or NaN.")
    mean, deviation = _moments(x, w)
    x = x.sub_(mean).div_(deviation)
    variances, axes = torch.linalg.eigh(((x * (w / w.sum())[:, None]).T @ x).double())
    rows = Rows(x @ axes.float(), y, w, variances.clamp(min=0).float())
    penalty, shift = _chosen(rows, groups[counted])
    layer = _start(rows)
    for stronger in [other for other in PENALTIES if other > penalty]:
        layer = _minimised(layer, rows, stronger)
    layer = _minimised(layer, rows, penalty).double()
    weight = layer[:, :-1] @ axes.T / deviation
    bias = layer[:, -1] - weight @ mean.double()
    return weight.float(), (bias - shift * rows.log_shares if for_iou else bias).float()


@dataclass(frozen=True)
class Rows:
    """Features x (P, C) on their principal axes, whose variances are known; y (P, N), w (P,).

    A rotation changes no penalty |weight|^2, and on these axes one step fits them all.
    """

    x: Tensor
    y: Tensor
    w: Tensor
    variances: Tensor

    @property
    def log_shares(self) -> Tensor:
        """(N,) of each class in all rows; 0 for one that does not occur."""
        shares = self.w @ self.y / self.w.sum()
        return torch.where(shares > 0, shares, 1.0).log()


def objective(layer: Tensor, rows: Rows, penalty: float) -> Tensor:
    """Mean cross entropy of the rows as they count, plus penalty / 2 |weight|^2.

    layer (N, C + 1): the weight, and the bias as its last column.
    """
    weight, bias = layer[:, :-1], layer[:, -1]
    decay = penalty * weight.square().sum() + BIAS_PENALTY * bias.square().sum()
    return cross_entropy(layer, rows) + decay / 2


def cross_entropy(layer: Tensor, rows: Rows) -> Tensor:
    """The mean over the rows as they count."""
    loss = F.cross_entropy(_logits(layer, rows), rows.y, reduction="none")
    return loss @ rows.w / rows.w.sum()


def _logits(layer: Tensor, rows: Rows) -> Tensor:
    return torch.addmm(layer[:, -1], rows.x, layer[:, :-1].T)


def _moments(x: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Weighted mean and deviation of each feature; 1 for the deviation of a constant one."""
    share = w / w.sum()
    mean = share @ x
    deviation = (share @ (x - mean).square()).sqrt()
    return mean, torch.where(deviation > 1e-6 * mean.abs(), deviation, 1.0)


def _chosen(rows: Rows, groups: Tensor) -> tuple[float, float]:
    """The penalty and the shift whose layers do best on the images that they have not seen.

    Weaker penalties are tried until one loses more than the one before it.
    """
    images = groups.unique()
    folds = min(FOLDS, len(images))
    if folds < 2:
        return UNTRIED
    fold = torch.searchsorted(images, groups) % folds
    seen = [replace(rows, w=rows.w * (fold != held)) for held in range(folds)]
    unseen = [replace(rows, w=rows.w * (fold == held)) for held in range(folds)]
    layers, least = [_start(rows)] * folds, float("inf")
    for penalty in PENALTIES:
        layers = [_minimised(*pair, penalty) for pair in zip(layers, seen, strict=True)]
        losses = [cross_entropy(*pair) for pair in zip(layers, unseen, strict=True)]
        loss = sum(float(a * b.w.sum()) for a, b in zip(losses, unseen, strict=True))
        if loss >= least:
            break
        best, least, kept = penalty, loss, layers
    logits = torch.stack([_logits(layer, rows) for layer in kept])
    logits = logits[fold, torch.arange(len(fold), device=fold.device)]
    shift = max(SHIFTS, key=lambda tau: mean_iou(logits - tau * rows.log_shares, rows))
    return best, shift


def mean_iou(logits: Tensor, rows: Rows) -> float:
    """Of the most probable classes, in shares of pixels; over the classes that occur."""
    said = F.one_hot(logits.argmax(dim=1), rows.y.shape[1]).float()
    true, found = (rows.w @ part for part in (rows.y, said))
    both = rows.w @ (rows.y * said)
    occurs = true > 0
    return float((both / (true + found - both))[occurs].mean())


def _start(rows: Rows) -> Tensor:
    """The layer (N, C + 1) that says nothing."""
    return rows.x.new_zeros(rows.y.shape[1], rows.x.shape[1] + 1)


def _minimised(start: Tensor, rows: Rows, penalty: float) -> Tensor:
    """The minimum of `objective`, by L-BFGS in units that make it about equally curved."""
    curvature = torch.cat([rows.variances, rows.variances.new_ones(1)]) / len(start) + penalty
    unit = curvature.rsqrt()
    scaled = (start / unit).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [scaled],
        max_iter=300,
        history_size=20,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = objective(scaled * unit, rows, penalty)
            loss.backward()
        return loss

    optimizer.step(closure)
    return scaled.detach() * unit
