"""The loops behind `helpers.crowd.filtering`: in place, without a branch where it would be mispredicted."""

import numpy as np
from numba import get_num_threads, njit, prange


@njit(cache=True, parallel=True)
def to_csr(user, item, n_users):
    """A counting sort by user, then each row on its own."""
    indptr = np.zeros(n_users + 1, np.int64)
    for u in user:
        indptr[u + 1] += 1
    for u in range(n_users):
        indptr[u + 1] += indptr[u]
    place = indptr[:-1].copy()
    indices = np.empty(len(item), np.int32)
    for k in range(len(user)):
        u = user[k]
        indices[place[u]] = item[k]
        place[u] += 1
    for u in prange(n_users):
        row = indices[indptr[u] : indptr[u + 1]]
        ascending = True
        for k in range(1, len(row)):
            ascending &= row[k - 1] <= row[k]
        if not ascending:
            row.sort()
    return indptr, indices


@njit(cache=True)
def distinct(indptr, indices):
    """The pairs of a CSR matrix with sorted rows, each once."""
    user, item = np.empty(len(indices), np.int32), np.empty(len(indices), np.int32)
    n = 0
    for u in range(len(indptr) - 1):
        for k in range(indptr[u], indptr[u + 1]):
            if k == indptr[u] or indices[k] != indices[k - 1]:
                user[n], item[n] = u, indices[k]
                n += 1
    return user[:n].copy(), item[:n].copy()


@njit(cache=True, parallel=True)
def _drop(counts, low, high, alive):
    """Mark in the bitset `alive` who stays and zero the counts of the others; returns how many records go."""
    go = 0
    for word in prange(len(counts) // 32 + 1):
        bits = np.uint32(0)
        for i in range(32 * word, min(32 * word + 32, len(counts))):
            stays = np.int32(low <= counts[i]) & np.int32(counts[i] <= high)
            bits |= np.uint32(stays) << np.uint32(i & 31)
            go += counts[i] * (1 - stays)
            counts[i] *= stays
        alive[word] = bits
    return go


@njit(cache=True, parallel=True)
def _count(ids, starts, sizes, change):
    """How often each id occurs in each part: `change` (parts, ids)."""
    for part in prange(len(sizes)):
        counts = change[part]
        counts[:] = 0
        for k in range(starts[part], starts[part] + sizes[part]):
            counts[ids[k]] += 1


@njit(cache=True, parallel=True)
def _compact(source_by, source_other, by, other, starts, sizes, alive, change, few):
    """Keep the records whose `by` is alive, each part on its own; `change` (parts, others) counts `other`.

    Where few records go, those that go are counted (a rare branch, well predicted), otherwise those that
    stay (no branch at all: it would be mispredicted every other time).
    """
    for part in prange(len(sizes)):
        start, counts = starts[part], change[part]
        counts[:] = 0
        kept = start
        if few:
            for k in range(start, start + sizes[part]):
                b, o = source_by[k], source_other[k]
                if (alive[b >> 5] >> np.uint32(b & 31)) & np.uint32(1):
                    if kept != k:
                        by[kept], other[kept] = b, o
                    kept += 1
                else:
                    counts[o] += 1
        else:
            for k in range(start, start + sizes[part]):
                b, o = source_by[k], source_other[k]
                stays = np.int64((alive[b >> 5] >> np.uint32(b & 31)) & np.uint32(1))
                by[kept], other[kept] = b, o
                counts[o] += stays
                kept += stays
        sizes[part] = kept - start


def threshold(user, item, n_users, n_items, low, high):
    """The rounds of `filtering.threshold`, one part per thread; the pairs that are left keep their order."""
    bounds = np.linspace(0, len(user), get_num_threads() + 1).astype(np.int64)
    starts, sizes = bounds[:-1], np.diff(bounds)
    alive = np.zeros(max(n_users, n_items) // 32 + 1, np.uint32)
    records, change, counts = [item, user], [], []
    for ids, n in ((item, n_items), (user, n_users)):
        change.append(np.empty((len(sizes), n), np.int32))
        _count(ids, starts, sizes, change[-1])
        counts.append(change[-1].sum(0, dtype=np.int32))
    work = [np.empty_like(item), np.empty_like(user)]
    rounds = []
    go = -1
    while go:
        rounds.append([int(np.count_nonzero(c)) for c in counts] + [int(sizes.sum())])
        go = 0
        for by, other in ((0, 1), (1, 0)):  # items, then users
            now = _drop(counts[by], low, high, alive)
            if now == 0:
                continue
            few = records is work and now < sizes.sum() // 8  # the first time all have to be copied
            _compact(
                records[by], records[other], work[by], work[other], starts, sizes, alive, change[other], few
            )
            records = work  # from here on in place
            seen = change[other].sum(0, dtype=np.int32)
            counts[other] = counts[other] - seen if few else seen
            go += now
    parts = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    left = [np.concatenate([ids[part] for part in parts]) for ids in records]
    return left[1], left[0], rounds
