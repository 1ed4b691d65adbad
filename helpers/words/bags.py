"""Pictures and their bags of tags: what a model of hashtags is trained on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from helpers.crowd.filtering import to_csr
from helpers.crowd.negatives import sample_rows
from helpers.errors import BadInput
from helpers.learn.again import known
from helpers.learn.examples import Pictures, Vectors
from helpers.words.hashtags import by_frequency

SAMPLING = ("natural", "class-uniform")


@known
class Bags(NamedTuple):
    """The tags of n pictures, as a sparse matrix has them; also the `truth` of `helpers.measures.metrics`."""

    indptr: np.ndarray  # int64 (n + 1,)
    indices: np.ndarray  # int32; picture i has indices[indptr[i]:indptr[i + 1]], without repeats

    @classmethod
    def of(cls, picture: np.ndarray, tag: np.ndarray, n: int) -> "Bags":
        """From distinct pairs (picture 0..n−1, tag), both int (pairs,)."""
        return cls(*to_csr(picture, tag, n))

    @property
    def owner(self) -> np.ndarray:
        """int64, parallel to `indices`: the picture of each."""
        return np.repeat(np.arange(len(self.indptr) - 1), np.diff(self.indptr))

    def rows(self, chosen: np.ndarray) -> "Bags":
        """The bags of some pictures, in the given order."""
        size = np.diff(self.indptr)[chosen]
        indptr = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
        place = np.arange(indptr[-1]) + np.repeat(self.indptr[chosen] - indptr[:-1], size)
        return Bags(indptr, self.indices[place])

    def turned(self, K: int) -> "Bags":
        """The pictures of each of K tags."""
        B = self.matrix(K).T.tocsr()  # and not `of`, whose threads must not start in a thread of `fit_many`
        return Bags(B.indptr.astype(np.int64), B.indices)

    def counts(self, K: int) -> np.ndarray:
        """N_k: in how many pictures each tag is, int64 (K,)."""
        return np.bincount(self.indices, minlength=K)

    def matrix(self, K: int) -> sp.csr_matrix:
        """float32 (n, K): 1 where a picture has a tag."""
        ones = np.ones(len(self.indices), np.float32)
        return sp.csr_matrix((ones, self.indices, self.indptr), (len(self.indptr) - 1, K))

    def dense(self, K: int, share: bool = False) -> np.ndarray:
        """`matrix` as an array; with `share`, each row divided by its sum."""
        out, size = self.matrix(K).toarray(), np.diff(self.indptr)
        return out / np.maximum(size, 1).astype(np.float32)[:, None] if share else out

    def sums(self, vectors: np.ndarray) -> np.ndarray:
        """h̄: the sum of the vectors of each picture's tags, float32 (n, D) for vectors (K, D)."""
        return self.matrix(len(vectors)) @ vectors.astype(np.float32)


class Tagged(NamedTuple):
    """n images with their hashtags; an image is a (user, item) pair."""

    user: np.ndarray  # int32 (n,)
    item: np.ndarray  # int32 (n,)
    split: np.ndarray  # object (n,): "train", "validation" or "test"
    bags: Bags  # the tags of each image, as numbers in `tags`
    tags: np.ndarray  # the vocabulary H, text (K,), most frequent in training first

    def rows(self, split: str) -> np.ndarray:
        """The images of one part: int (·,)."""
        return np.flatnonzero(self.split == split)


def tagged_images(hashtags: pd.DataFrame, keep: int) -> Tagged:
    """Group hashtags by image: user, item, tag (categorical), split, the distinct rows of notebook 01. The
    vocabulary is the `keep` hashtags that most training images have; ties go by the alphabet. Images without
    one of them are left out, as in Veit et al. 2018, section 4.1."""
    tags = by_frequency(hashtags.loc[hashtags["split"] == "train", "tag"])["tag"].to_numpy(str)[:keep]
    code = hashtags["tag"].cat.set_categories(pd.Index(tags, dtype="str")).cat.codes.to_numpy()
    image = hashtags[code >= 0].groupby(["user", "item"], sort=True)
    first = image["split"].first().reset_index()
    bags = Bags.of(image.ngroup().to_numpy(), code[code >= 0], len(first))
    user, item = (first[name].to_numpy(np.int32) for name in ("user", "item"))
    return Tagged(user, item, first["split"].to_numpy(object), bags, tags)


def gallery(images: Tagged, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, Bags]:
    """What a query is searched in: the distinct items of some images, int (n,), each with the tags of all of
    them. Returns the items int (m,), for each the first of the n images that shows it, and their bags."""
    items, first, place = np.unique(images.item[rows], return_index=True, return_inverse=True)
    some, K = images.bags.rows(rows), max(len(images.tags), 1)
    pair = np.unique(place[some.owner].astype(np.int64) * K + some.indices)
    return items, first, Bags.of(*np.divmod(pair, K), len(items))


def by_item(item: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Add up the targets float32 (n, K) of images that show the same item, int (n,), because their features
    are the same: the distinct items int (m,), and targets (m, K) whose mean loss is that of all n images."""
    items, place = np.unique(item, return_inverse=True)
    total = np.zeros((len(items), targets.shape[1]), np.float32)
    np.add.at(total, place, targets)
    return items, total * (len(items) / len(item) if len(item) else 1)


@known
@dataclass(frozen=True)
class Drawn:
    """Training examples whose one target is drawn anew in each pass.

    "natural" sampling visits each picture once a pass and draws one of its tags uniformly (Veit et al. 2018,
    section 3.1); "class-uniform" draws a tag uniformly, then one of its pictures, as often as there are
    pictures (Joulin et al. 2016, section 3, "Class balancing")."""

    inputs: Pictures | Vectors  # their own targets are not used
    bags: Bags  # the tags of each of them, in the same order; with "natural" none is empty
    K: int
    sampling: str = "natural"

    def __post_init__(self):
        if self.sampling not in SAMPLING:
            raise BadInput(f"sampling is {self.sampling!r}; choose one of {', '.join(SAMPLING)}")
        if len(self.inputs) != len(self.bags.indptr) - 1:
            raise BadInput(f"{len(self.inputs)} pictures but {len(self.bags.indptr) - 1} bags of tags")
        if self.sampling == "natural" and not np.diff(self.bags.indptr).all():
            raise BadInput("a picture has no tag to draw; leave such pictures out of training")

    def __len__(self) -> int:
        return len(self.inputs)

    def draw(self, order: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(picture, tag) of each step of a pass that would visit the pictures in the given order."""
        if self.sampling == "class-uniform":
            tag, picture = sample_rows(*self.bags.turned(self.K), len(order), rng)
            return picture, tag.astype(np.int64)
        size = np.diff(self.bags.indptr)[order]
        return order, self.bags.indices[self.bags.indptr[order] + rng.integers(0, size)].astype(np.int64)

    def plan(self, order: np.ndarray, generator: torch.Generator) -> Tensor:
        """The row and the tag of each step of an epoch, int64 (n, 2)."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        picture, tag = self.draw(order, np.random.default_rng(seed))
        return torch.stack([self.inputs.plan(picture, generator), torch.from_numpy(tag)], 1)

    def look_up(self, rows: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (C, B, …) and tags int64 (C, B) of rows int (C, B, 2) of C copies."""
        return self.inputs.look_up(rows[..., 0], copies)[0], rows[..., 1]

    @classmethod
    def together(cls, many: Sequence["Drawn"]) -> "Drawn":
        """The examples of C copies side by side, as `Vectors.together`."""
        return replace(many[0], inputs=Vectors.together([one.inputs for one in many]))

    def on(self, device: torch.device) -> "Drawn":
        """The same with the inputs on a device."""
        return replace(self, inputs=self.inputs.on(device))

    def batches(self, order: list[np.ndarray], generator, device) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and the tag drawn for each, int64 (B,), on the device."""
        seed = int(torch.randint(2**62, (1,), generator=generator))
        picture, tag = self.draw(np.concatenate(order), np.random.default_rng(seed))
        ends = np.cumsum([len(part) for part in order])[:-1]
        read = self.inputs.batches(np.split(picture, ends), generator, device)
        tags = torch.from_numpy(tag).to(device).split([len(part) for part in order])
        for (inputs, _), some in zip(read, tags, strict=True):
            yield inputs, some
