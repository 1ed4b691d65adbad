"""The compiled loops of `embeddings`: skip-gram by negative sampling, and the seats of senses."""

import numba
import numpy as np

from helpers.crowd.negatives import GOLDEN, _mix

FAST = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, inline="always")
def uniform(state):
    """The state's number from [0, 1)."""
    return np.float64(_mix(state) >> np.uint64(11)) * 2.0**-53


@numba.njit(cache=True, fastmath=FAST)
def log_sigmoid_sum(v, tags, start, end, skip, contexts):
    """Σ log σ(v · c) over the context vectors c of tags[start:end], without position `skip`."""
    total = 0.0
    for p in range(start, end):
        if p != skip:
            c = contexts[tags[p]]
            dot = np.float32(0)
            for k in range(len(v)):
                dot += v[k] * c[k]
            total -= np.log1p(np.exp(-np.float64(dot)))
    return total


@numba.njit(cache=True, fastmath=FAST)
def pull(v, error, tags, start, end, skip, contexts, table, negative, lr, state):
    """One step for v and each of its context tags: (Mikolov et al. 2013, eq. 4), one pair after the other.

    Per pair it ascends log σ(v · c₊) + Σ log σ(−v · c₋) with `negative` draws c₋ from `table`; a draw of the
    context tag itself is left out. Returns the state of the random numbers.
    """
    d = len(v)
    cells = np.uint64(len(table))
    for p in range(start, end):
        if p == skip:
            continue
        error[:] = 0
        for n in range(negative + 1):
            target, label = tags[p], np.float32(1)
            if n:
                state += GOLDEN
                bits = _mix(state)
                # the upper half chooses a cell, the lower half is the coin of the alias method
                cell = np.int64(((bits >> np.uint64(32)) * cells) >> np.uint64(32))
                entry = table[cell]
                kept = (bits & np.uint64(0xFFFFFFFF)) < (entry >> np.uint64(32))
                target = np.int32(cell if kept else entry & np.uint64(0xFFFFFFFF))
                if target == tags[p]:
                    continue
                label = np.float32(0)
            c = contexts[target]
            dot = np.float32(0)
            for k in range(d):
                dot += v[k] * c[k]
            g = lr * (label - np.float32(1) / (np.float32(1) + np.exp(-dot)))
            for k in range(d):
                error[k] += g * c[k]
                c[k] += g * v[k]
        for k in range(d):
            v[k] += error[k]
    return state


@numba.njit(cache=True)
def seat_weights(w, tags, start, end, position, vectors, contexts, senses, count, gamma, weight):
    """The Chinese restaurant of tag w at one place (Li and Jurafsky 2015, eq. 5).

    Fills `weight` up to a common factor: a taken table s with count_s · P(context | sense s), the first free
    one with γ · P(context | global vector), other free ones with 0. P is the product of σ(v · c) over the
    context; with γ = 0 no new table is opened.

    Returns:
        The free table that has a weight, or −1.
    """
    most, free = senses.shape[1], -1
    for s in range(most):
        weight[s] = -np.inf
        if count[w, s] > 0:
            fit = log_sigmoid_sum(senses[w, s], tags, start, end, position, contexts)
            weight[s] = np.log(count[w, s]) + fit
        elif free < 0 and gamma > 0:
            free = s
    if free >= 0:
        weight[free] = np.log(gamma) + log_sigmoid_sum(vectors[w], tags, start, end, position, contexts)
    highest = weight[:most].max()
    if highest > -np.inf:
        for s in range(most):
            weight[s] = np.exp(weight[s] - highest)
    else:
        weight[:most] = 0
    return free


@numba.njit(cache=True)
def epoch(
    indptr, tags, order, vectors, contexts, senses, count, seat, table, negative, gamma, lr_first, lr_last,
    seed,
):  # fmt: skip
    """Visit every tag of every set once. With senses.shape[1] of 0 it is the plain skip-gram."""
    most = senses.shape[1]
    error = np.empty(vectors.shape[1], np.float32)
    weight = np.empty(max(most, 1), np.float64)
    state = np.uint64(seed)
    done, total = 0, len(tags)
    for row in order:
        start, end = indptr[row], indptr[row + 1]
        lr = np.float32(lr_first + (lr_last - lr_first) * done / total)
        done += end - start
        if end - start < 2:
            continue
        for position in range(start, end):
            w = tags[position]
            state = pull(vectors[w], error, tags, start, end, position, contexts, table, negative, lr, state)
            if most == 0:
                continue
            if seat[position] >= 0:
                count[w, seat[position]] -= 1
            free = seat_weights(
                w, tags, start, end, position, vectors, contexts, senses, count, gamma, weight
            )
            state += GOLDEN
            x = uniform(state) * weight[:most].sum()
            s = 0
            while s < most - 1 and x >= weight[s]:
                x -= weight[s]
                s += 1
            while weight[s] == 0.0:  # rounding can carry x past the last table
                s -= 1
            if s == free:
                senses[w, s] = vectors[w]
            count[w, s] += 1
            seat[position] = s
            state = pull(
                senses[w, s], error, tags, start, end, position, contexts, table, negative, lr, state
            )


@numba.njit(cache=True)
def probabilities(indptr, tags, vectors, contexts, senses, count, out):
    """For every tag of every set the probability of each of its senses, without a new one; fills `out`."""
    for row in range(len(indptr) - 1):
        start, end = indptr[row], indptr[row + 1]
        for position in range(start, end):
            weight = out[position]
            seat_weights(
                tags[position], tags, start, end, position, vectors, contexts, senses, count, 0.0, weight
            )
            total = weight.sum()
            if total > 0:
                weight /= total
