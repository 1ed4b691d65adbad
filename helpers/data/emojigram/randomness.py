"""Random numbers that depend only on (seed, who, what): equal on any number of threads, in any order."""

import numpy as np
from numba import float64, int64, njit, uint64, vectorize

from helpers.randomness import mix


@njit(cache=True, inline="always")
def hash01(seed, a, b):
    """A number in [0, 1) that is a fixed function of three integers."""
    h = mix(uint64(seed) + uint64(0x9E3779B97F4A7C15))
    h = mix(h + uint64(a) * uint64(0x9E3779B97F4A7C15))
    h = mix(h + uint64(b) * uint64(0xD1B54A32D192ED03))
    return (h >> uint64(11)) * (1.0 / 9007199254740992.0)


@vectorize([float64(int64, int64, int64)], cache=True)
def hash01_array(seed, a, b):
    """`hash01` elementwise: float64 in [0, 1)."""
    return hash01(seed, a, b)


def zipf_weights(n: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Weights rank^(-exponent) with mean 1, in random order: float64 (n,)."""
    weights = np.arange(1, n + 1, dtype=np.float64) ** -exponent
    return rng.permutation(weights / weights.mean())
