"""Random numbers that depend only on who draws what, not on threads or order."""

import hashlib
import json

from numba import njit, uint64


@njit(cache=True, inline="always")
def mix(z):
    """The finaliser of splitmix64 (Steele, Lea and Flood 2014): a bijection that scatters all 64 bits."""
    z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
    return z ^ (z >> uint64(31))


def hash_seed(*key) -> int:
    """A 63-bit seed from any numbers and texts."""
    return int.from_bytes(hashlib.sha256(json.dumps(key).encode()).digest()[:8], "little") >> 1
