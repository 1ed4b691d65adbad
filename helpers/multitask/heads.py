"""A classifier of images whose second task is to guess the crowd's item vectors (Bibas et al. 2022)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn
from torch.nn import functional as F

from helpers.errors import BadInput
from helpers.learn.again import known, remembered
from helpers.learn.examples import MEAN, STD, Pictures, Vectors
from helpers.learn.networks import Dropout
from helpers.learn.pretrained import load, resized


@remembered
class TwoHeads(nn.Module):
    """A trainable layer that both tasks share, and a linear head for each.

    With a frozen backbone the shared layer is all through which the second task can reach the first: two
    linear heads on fixed features would not know of each other. The head of the vectors starts near zero,
    that is near the mean vector; from a random start `exp` of the distance would drown the main task for
    epochs.

    Takes features of width `inputs`, or images with a backbone, images -> (B, inputs), that is trained too;
    N = `labels` classes, CF vectors of f = `factors` numbers; `hidden` units are shared, and the head of the
    vectors has a layer of `head` ReLU units of its own, if not 0."""

    def __init__(
        self, inputs: int, labels: int, factors: int, hidden: int = 256, dropout: float = 0.5,
        head: int = 0, backbone: nn.Module | None = None,
    ):  # fmt: skip
        super().__init__()
        self.backbone = nn.Identity() if backbone is None else backbone
        self.layer, self.drop = nn.Linear(inputs, hidden), Dropout(dropout)
        self.to_labels, last = nn.Linear(hidden, labels), nn.Linear(head or hidden, factors)
        # not exactly zero: there the distances of a triplet have no gradient
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.to_vector = nn.Sequential(nn.Linear(hidden, head), nn.ReLU(), last) if head else last

    def shared(self, x: Tensor) -> Tensor:
        """What both heads read: float (B, hidden)."""
        return torch.relu(self.layer(self.backbone(x)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the labels and the guessed CF vector, side by side: float (B, N + f)."""
        h = self.drop(self.shared(x))
        return torch.cat([self.to_labels(h), self.to_vector(h)], 1)


@remembered
class Backbone(nn.Module):
    """A layer of a pretrained network (see `pretrained.load`, BadInput as there) with all weights trainable.

    Pictures come as `examples.normalise` gives them and are scaled to a side of `resolution`. With `augment`
    each is changed at random in training (`augmented`). With `random` the weights are drawn anew: a start
    without pretraining."""

    def __init__(self, name: str, layer: str, resolution: int, augment: bool = False, random: bool = False):
        super().__init__()
        self.augment = augment
        made = load(name)
        self.columns, self.resolution = made.columns(layer), resolution
        self.network = made.network.requires_grad_(True)
        if random:
            self.network.apply(lambda part: getattr(part, "reset_parameters", lambda: None)())
        usual = {"usual_mean": np.multiply(255, MEAN), "usual_std": np.multiply(255, STD)}
        for key, values in ({"mean": made.mean, "std": made.std} | usual).items():
            values = torch.tensor(values, dtype=torch.float32)[:, None, None]
            self.register_buffer(key, values, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Features of a layer: float images (B, 3, H, H) to float (B, width of the layer)."""
        images = images * self.usual_std + self.usual_mean  # pixels of 0..255
        if self.augment and self.training:
            with torch.autocast(images.device.type, enabled=False):
                images = augmented(images / 255, self.resolution) * 255
        return self.network((resized(images, self.resolution) - self.mean) / self.std)[:, self.columns]


def augmented(images: Tensor, side: int) -> Tensor:
    """Each picture changed at random as in the program of Bibas et al.: a part of 8 to 100 % of its area,
    half of them mirrored, brightness, contrast and saturation changed by up to a tenth, the hue by up to a
    tenth of the colour circle, one in ten grey. Float images (B, 3, H, H) of 0..1 to (B, 3, side, side), all
    at once, 60 times as fast as one by one; the hue is a turn about the axis of greys."""
    B, device = len(images), images.device
    draw = lambda low, high: torch.empty(B, device=device).uniform_(low, high)  # noqa: E731
    area, aspect = draw(0.08, 1), draw(np.log(3 / 4), np.log(4 / 3)).exp()
    wide, high = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    part = torch.zeros(B, 2, 3, device=device)
    part[:, 0, 0], part[:, 1, 1] = wide * draw(-1, 1).sign(), high
    part[:, 0, 2], part[:, 1, 2] = (1 - wide) * draw(-1, 1), (1 - high) * draw(-1, 1)
    grid = F.affine_grid(part, (B, 3, side, side), align_corners=False)
    cut = F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)

    grey, turn = torch.tensor([0.299, 0.587, 0.114], device=device), draw(-0.1, 0.1) * 2 * np.pi
    # Rodrigues' formula for a rotation about (1, 1, 1)
    same, third = torch.eye(3, device=device), torch.full((3, 3), 1 / 3, device=device)
    cross = (torch.roll(same, 1, 0) - torch.roll(same, -1, 0)) / 3**0.5
    cos, sin = turn.cos()[:, None, None], turn.sin()[:, None, None]
    strength = torch.where(draw(0, 1) < 0.1, 0, draw(0.9, 1.1))[:, None, None]
    colours = strength * (cos * same + sin * cross + (1 - cos) * third) + (1 - strength) * grey
    bright = (colours * draw(0.9, 1.1)[:, None, None]) @ cut.flatten(2)
    middle, contrast = (grey @ bright).mean(1)[:, None, None], draw(0.9, 1.1)[:, None, None]
    return (middle + contrast * (bright - middle)).clamp(0, 1).view_as(cut)


def thawed(network: TwoHeads, backbone: Backbone, mean: np.ndarray, matrix: np.ndarray) -> TwoHeads:
    """A network that was trained on frozen features, on top of a trainable backbone; both give the same.

    A head that knows nothing yet would shake the pretrained weights in its first steps. The inputs of the
    network, which is left as it is, were (features of the backbone − mean) @ matrix; mean, float (width,),
    and matrix, float (width, inputs), go into the weights of the first layer. BadInput for other shapes."""
    inputs, hidden = network.layer.in_features, network.layer.out_features
    if matrix.shape != (len(mean), inputs):
        found = f"mean has {len(mean)} numbers, matrix is {matrix.shape}"
        raise BadInput(f"thawed: the network reads {inputs} inputs, {found}")
    labels, vector = network.to_labels, network.to_vector
    head, last = (vector[0].out_features, vector[-1]) if isinstance(vector, nn.Sequential) else (0, vector)
    outputs = labels.out_features, last.out_features
    made = TwoHeads(len(mean), *outputs, hidden, float(network.drop.p), head, backbone)
    made.to_labels.load_state_dict(labels.state_dict())
    made.to_vector.load_state_dict(vector.state_dict())
    with torch.no_grad():
        weight = network.layer.weight.cpu() @ torch.from_numpy(matrix.T).float()
        made.layer.weight.copy_(weight)
        made.layer.bias.copy_(network.layer.bias.cpu() - weight @ torch.from_numpy(mean).float())
    return made.eval()


def class_weights(labels: np.ndarray) -> np.ndarray:
    """1/η_n (section 3.4) with mean 1 over the classes that occur; a class without one gets 0: float32 (N,).

    Labels are bool (n, N), of the labelled training items only; BadInput where none has a label."""
    count = np.asarray(labels).sum(axis=0)
    if not count.any():
        raise BadInput("class_weights: no training item has a label")
    raw = np.where(count > 0, 1 / np.maximum(count, 1), 0.0)
    return (raw / raw[count > 0].mean()).astype(np.float32)


def balanced_bce(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Class-balanced binary cross-entropy of each item: float (B,), for logits and labels (B, N).

    −Σ_n [w_n y_n log ŷ_n + (1 − y_n) log(1 − ŷ_n)]: equation 1 with the minus sign that its print lacks, the
    weight (from `class_weights`) on the positive term, where the print has it."""
    return F.binary_cross_entropy_with_logits(logits, labels, pos_weight=weights, reduction="none").sum(1)


def distance(guess: Tensor, vector: Tensor) -> Tensor:
    """L1 + L2, the Manhattan plus the Euclidean distance, of each row: float (B,)."""
    return _manhattan(guess, vector) + _euclidean(guess, vector)


def _manhattan(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().sum(1)


def _euclidean(a: Tensor, b: Tensor) -> Tensor:
    # the tiny number keeps the gradient of the root finite where both are equal
    return ((a - b).square().sum(1) + 1e-12).sqrt()


def tame_exp(x: Tensor) -> Tensor:
    """exp(x) up to 5, where it is 148, its tangent beyond: finite, convex, increasing, with a continuous
    derivative.

    Where the minimum of a convex objective lies at exponents below 5, both have the same minimum."""
    return torch.where(x < 5, x.clamp(max=5).exp(), np.exp(5) * (1 + x - 5))


def _means(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean(1) + (a - b).abs().mean(1)


FORMS = {"exp": distance, "L1": _manhattan, "L2": _euclidean, "L1 + L2": distance, "program": _means}


def _unit(form: str, vectors: np.ndarray) -> float:
    """What guessing the mean of the vectors, float (n, f), costs on average by the distance of a form."""
    centred = torch.from_numpy(vectors - vectors.mean(axis=0))
    return FORMS[form](centred, torch.zeros_like(centred)).mean().item()


def reconstruction(form: str, vectors: np.ndarray) -> Callable[[Tensor, Tensor], Tensor]:
    """A second task's loss of each row, from guesses and vectors (B, f), one of `FORMS`.

    "exp" is ℓ_CF_R of section 3.4, exp(L1 + L2); "L1", "L2" and "L1 + L2" (which a convex mixture of both in
    equal parts is, up to a factor) go without the exponential, as those of footnote 2. All distances are in
    units of what guessing the mean of `vectors`, float (n, f), costs on average. "program" is what the
    published program computes instead, exp(MSE + L1) − 1 with means over the f numbers. The exponential is
    `tame_exp`. BadInput for another form."""
    if form not in FORMS:
        raise BadInput(f"form of the second task is {form!r}; choose one of {', '.join(FORMS)}")
    far = FORMS[form]
    if form == "program":
        return lambda a, b: tame_exp(far(a, b)) - 1
    unit = _unit(form, vectors)
    if form == "exp":
        return lambda a, b: tame_exp(far(a, b) / unit)
    return lambda a, b: far(a, b) / unit


def capped(omega: np.ndarray, quantile: float) -> np.ndarray:
    """min(ω, Ω) with Ω the given quantile of ω, divided by its mean, so that α means the same for every ω. An
    item without a CF vector has NaN, and gets 0."""
    bounded = np.minimum(omega, np.nanquantile(omega, quantile))
    return np.nan_to_num(bounded / np.nanmean(bounded)).astype(np.float32)


def stretched(omega: np.ndarray) -> np.ndarray:
    """ω clipped to its quartiles and stretched to 1 … 3, as the published program does: float64 (n,). NaN, of
    an item without a CF vector, stays."""
    low, high = np.nanquantile(omega, [0.25, 0.75])
    return 1 + 2 * (np.clip(omega, low, high) - low) / max(high - low, 1e-9)


@known
@dataclass(frozen=True)
class Targets:
    """What the training items should give, packed so that `train.fit` can deal it out in batches."""

    labels: np.ndarray  # bool (n, N)
    vectors: np.ndarray  # float32 (n, f), CF vectors, centred and divided by their overall deviation
    labelled: np.ndarray  # bool (n,), whose labels may be used
    viewed: np.ndarray  # bool (n,), who has a CF vector; the others learn from their labels alone
    bias: np.ndarray | None = None  # float32 (n,), a further target, in the unit of the vectors

    @classmethod
    def of(
        cls, labels: np.ndarray, Q: np.ndarray, labelled: np.ndarray | None = None,
        bias: np.ndarray | None = None,
    ) -> "Targets":  # fmt: skip
        """From raw CF vectors float (n, f), one an item, finite and not all the same (else BadInput). An item
        without one has a row of NaN, whatever its bias, float (n,)."""
        Q, viewed = np.asarray(Q, np.float64), ~np.isnan(Q).all(axis=1)
        centred = Q - Q[viewed].mean(axis=0) if viewed.any() else Q[viewed]
        if len(Q) != len(labels) or not np.isfinite(centred[viewed]).all() or not centred[viewed].any():
            found = f"{len(Q)} CF vectors for {len(labels)} items"
            raise BadInput(f"multitask: {found}; there must be a finite one each, not all the same")
        known = np.ones(len(labels), bool) if labelled is None else labelled
        vectors = np.where(viewed[:, None], centred / centred[viewed].std(), 0)
        if bias is not None:
            bias = np.float32(np.where(viewed, (bias - bias[viewed].mean()) / centred[viewed].std(), 0))
        return cls(np.asarray(labels, bool), np.float32(vectors), known, viewed, bias)

    @property
    def with_bias(self) -> "Targets":
        """The same with vectors that are one number longer. BadInput where no biases were given."""
        if self.bias is None:
            raise BadInput("multitask: a setting asks for the item's bias, but no biases were given")
        return replace(self, vectors=np.column_stack([self.vectors, self.bias]), bias=None)

    @property
    def unit(self) -> float:
        """What guessing the mean vector costs, L1 + L2 on average: the unit of distances."""
        return _unit("exp", self.vectors[self.viewed])

    @property
    def nearest(self) -> np.ndarray:
        """For each item the one with the nearest CF vector, int64 (n,); any other for one without."""
        found, known = np.roll(np.arange(len(self.labels)), 1), np.flatnonzero(self.viewed)
        found[known] = known[nearest_other(self.vectors[known])]
        return found

    @property
    def weights(self) -> Tensor:
        return torch.from_numpy(class_weights(self.labels[self.labelled]))

    def packed(
        self, omega: np.ndarray | None = None, alpha: float = 1.0, tau: float = 0.0, main: bool = True
    ) -> Tensor:
        """float32 (n, N + 3 + f): w_n where label n is true, whether the labels are known, α · min(ω, Ω), τ,
        the CF vector. All that differs between trainings stands here, so that many can share one loss.
        Without `main` no label is known: the first phase of Sequential; α = 0 is Image-only. An item without
        a CF vector has the weight 0 (section 3.2)."""
        n = len(self.labels)
        known = self.labelled if main else np.zeros(n)
        weight = alpha * self.viewed * (np.ones(n) if omega is None else omega)
        labels = self.labels * self.weights.numpy()
        columns = np.column_stack([labels, known, weight, np.full(n, tau), self.vectors])
        return torch.from_numpy(columns.astype(np.float32))


@remembered
def objective(
    targets: Targets, blocks: int = 1, contrastive: bool = False, form: str = "exp"
) -> Callable[[Tensor, Tensor], Tensor]:
    """Equation 3 as a loss for `train.fit`: ℓ_MAIN + α · min(ω, Ω) · exp(L1 + L2), mean of the batch.

    A batch is that of `Blocks`: ℓ_MAIN is the mean over the labelled items of its first block, ℓ_CF_R
    (`reconstruction` in the given form) the mean over its last. With `contrastive` the last three are
    anchors, positives and negatives, and the second term is `triplet`."""
    N, apart = targets.labels.shape[1], reconstruction(form, targets.vectors[targets.viewed])

    def loss(outputs: Tensor, packed: Tensor) -> Tensor:
        said, asked = outputs.chunk(blocks), packed.chunk(blocks)
        each = balanced_bce(said[0][:, :N], (asked[0][:, :N] > 0).float(), asked[0][:, :N])
        known = asked[0][:, N]
        main = (each * known).sum() / known.sum().clamp(min=1)
        _, _, weight, tau, vectors = asked[-3 if contrastive else -1].split(
            [N, 1, 1, 1, targets.vectors.shape[1]], 1
        )
        if contrastive:
            each = triplet(*(part[:, N:] for part in said[-3:]), tau[:, 0])
        else:
            each = apart(said[-1][:, N:], vectors)
        return main + (weight[:, 0] * each).mean()

    return loss


def triplet(anchor: Tensor, positive: Tensor, negative: Tensor, tau: float) -> Tensor:
    """max{L2(a, p) − L2(a, n) + τ, 0} of each row: float (B,). Source: section 4.3.1."""
    return (_euclidean(anchor, positive) - _euclidean(anchor, negative) + tau).clamp(min=0)


def nearest_other(vectors: np.ndarray) -> np.ndarray:
    """For each row the other row at the smallest Euclidean distance: int64 (n,)."""
    found = np.empty(len(vectors), np.int64)
    for start in range(0, len(vectors), 1024):
        block = cdist(vectors[start : start + 1024], vectors)
        np.fill_diagonal(block[:, start:], np.inf)
        found[start : start + len(block)] = block.argmin(axis=1)
    return found


@known
@dataclass(frozen=True)
class Blocks:
    """What a step of training sees, block after block of B items each: labelled items, all of which an epoch
    visits once; with `companions`, as many items drawn from all, with labels or without, none twice in an
    epoch; with `nearest`, the positives and random negatives of the block before, its anchors."""

    examples: Pictures | Vectors  # all n training items
    labelled: np.ndarray  # int (m,), rows of `examples`
    companions: bool = False  # where few items are labelled: the second task learns from all
    nearest: np.ndarray | None = None  # int64 (n,), from `nearest_other`

    def __len__(self) -> int:
        return len(self.labelled)

    @property
    def count(self) -> int:
        """The number of blocks."""
        return 1 + self.companions + 2 * (self.nearest is not None)

    def plan(self, order: np.ndarray, generator: torch.Generator) -> Tensor:
        """The rows of an epoch, int64 (m, blocks)."""
        n, columns = len(self.examples), [self.labelled[order]]
        if self.companions:
            columns.append(torch.randperm(n, generator=generator).numpy()[: len(order)])
        if self.nearest is not None:
            anchor, near = columns[-1], self.nearest[columns[-1]]
            draw = torch.randint(0, n - 2, (len(order),), generator=generator).numpy()
            low, high = np.sort([anchor, near], axis=0)
            draw += draw >= low  # never the anchor, nor its positive
            draw += draw >= high
            columns += [near, draw]
        return torch.from_numpy(np.stack(columns, 1))

    def look_up(self, rows: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and targets of rows int (C, B, blocks) of C copies: (C, blocks · B, …) each."""
        if rows.stride(0) == 0:  # the same for all copies, and to stay one
            return self.examples.look_up(rows[0].T.flatten().expand(len(rows), -1), copies)
        return self.examples.look_up(rows.transpose(1, 2).flatten(1), copies)

    def batches(self, order: Sequence[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """The same for one network, on the device."""
        plan = self.plan(np.concatenate(order), generator)
        parts = plan.split([len(rows) for rows in order])
        return self.examples.batches([part.T.flatten().numpy() for part in parts], generator, device)

    @classmethod
    def together(cls, many: Sequence["Blocks"]) -> "Blocks":
        """The examples of C copies side by side, as `Vectors.together`."""
        return replace(many[0], examples=Vectors.together([one.examples for one in many]))

    def on(self, device: torch.device) -> "Blocks":
        """The same on a device."""
        return replace(self, examples=self.examples.on(device))
