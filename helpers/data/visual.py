"""Visual features that McAuley et al. publish beside ratings: one binary record for each item.

A record is the item's id, plain text of a fixed length, and 4096 numbers, float32 in little-endian order.
Amazon's are layer FC7 of the Caffe reference network (five convolutional and three fully connected layers,
trained on ImageNet's labels); what made Behance's, its release does not say. McAuley et al., "Image-based
recommendations on styles and substitutes", SIGIR 2015, section 3.
"""

import hashlib
from pathlib import Path

import numpy as np

from helpers.errors import BadInput
from helpers.files import replacing
from helpers.paths import cache

WIDTH = 4096
CHUNK = 1024  # records in memory at a time, 16 MB


class VisualFeatures:
    """A file of records, mapped into memory: ids are read at once, features only of items that are asked for.

    `letters` is the length of an id: 8 in Behance's file, 10 in Amazon's. Raises BadInput: the file is empty,
    no whole number of records, or an id is no plain text."""

    def __init__(self, file: Path, letters: int):
        self.file, size = file, file.stat().st_size
        record = np.dtype([("id", f"S{letters}"), ("values", "<f4", WIDTH)])
        if size == 0 or size % record.itemsize:
            raise BadInput(
                f"{file}: {size:,} bytes, which is no multiple of a record of {record.itemsize:,} (an id of"
                f" {letters} letters and {WIDTH} float32); download it again"
            )
        self._records = np.memmap(file, record, mode="r")
        raw = self._records["id"].copy()
        plain = np.char.isalnum(raw) & (np.char.str_len(raw) == letters)
        if not plain.all():
            row = int(plain.argmin())
            raise BadInput(
                f"{file}, record {row + 1}: the id is {bytes(raw[row])!r}, expected {letters} letters or"
                " digits; download it again"
            )
        # of an item that is there twice, the first record counts
        self.ids, self._rows = np.unique(raw.astype(str), return_index=True)

    def of(self, ids: np.ndarray) -> np.ndarray:
        """The features of some of `self.ids`, in this order: float32 (n, 4096), mapped from a copy in the
        cache folder, so that they need not fit into memory. Raises BadInput: one of them is not a finite
        number."""
        rows = self._rows[np.searchsorted(self.ids, ids)]
        stamp = self.file.stat()
        key = f"{self.file.resolve()} {stamp.st_size} {stamp.st_mtime_ns}".encode() + rows.tobytes()
        target = cache() / "features" / f"{hashlib.sha256(key).hexdigest()[:16]}.npy"
        if not target.is_file():
            with replacing(target) as new:
                kept = np.lib.format.open_memmap(new, "w+", np.float32, (len(rows), WIDTH))
                for at in range(0, len(rows), CHUNK):
                    values = self._records["values"][rows[at : at + CHUNK]]
                    if not (finite := np.isfinite(values).all(axis=1)).all():
                        row = rows[at + int(finite.argmin())]
                        raise BadInput(f"{self.file}, record {row + 1}: not finite; download the file again")
                    kept[at : at + CHUNK] = values
                kept.flush()
                del kept  # Windows renames no file that is mapped
        return np.load(target, mmap_mode="r")
