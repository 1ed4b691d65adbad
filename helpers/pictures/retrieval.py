"""The two measures of Fang et al. 2015, section 4.3: what retrieved images mean to the network."""

import numpy as np
from numba import njit, prange

from helpers.crowd.filtering import to_csr


def common_viewers(
    item: np.ndarray, user: np.ndarray, n_items: int, queries: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Measure 1: viewers that query and neighbour have in common, over the union of both.

    Args:
        item, user: int32 (n,), the distinct pairs of V.
        queries: int (Q,), item ids.
        neighbours: int (Q, k), item ids.

    Returns:
        float64 (Q, k), the Jaccard index; 0 where neither has a viewer.
    """
    indptr, viewers = to_csr(item, user, n_items)
    return _jaccard(indptr, viewers, queries.astype(np.int64), neighbours.astype(np.int64))


@njit(parallel=True, cache=True)
def _jaccard(indptr, viewers, queries, neighbours):
    out = np.zeros(neighbours.shape)
    for q in prange(neighbours.shape[0]):
        a0, a1 = indptr[queries[q]], indptr[queries[q] + 1]
        for r in range(neighbours.shape[1]):
            b, b1 = indptr[neighbours[q, r]], indptr[neighbours[q, r] + 1]
            both, union = 0, (a1 - a0) + (b1 - b)
            a = a0
            # both lists are sorted: walk along them together
            while a < a1 and b < b1:
                if viewers[a] == viewers[b]:
                    both += 1
                    a += 1
                    b += 1
                elif viewers[a] < viewers[b]:
                    a += 1
                else:
                    b += 1
            if union > 0:
                out[q, r] = both / (union - both)
    return out


def viewed_by_owner(
    item: np.ndarray, user: np.ndarray, n_users: int, owners: np.ndarray, neighbours: np.ndarray
) -> np.ndarray:
    """Measure 2: which retrieved neighbours the owner of the query has viewed.

    Args:
        item, user: int32 (n,), the distinct pairs of V.
        owners: int (Q,), the user who posted each query.
        neighbours: int (Q, k), item ids.

    Returns:
        bool (Q, k).
    """
    seen = np.sort(item.astype(np.int64) * n_users + user)
    wanted = neighbours.astype(np.int64) * n_users + owners[:, None]
    place = np.minimum(np.searchsorted(seen, wanted), len(seen) - 1)
    return seen[place] == wanted
