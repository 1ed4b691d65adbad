"""Pictures: one uint8 array on disk, or files that are decoded when they are asked for."""

import io
import tarfile
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from helpers.errors import BadInput


class ImageStore(Protocol):
    """Row i is the picture of item i."""

    size: int

    def __len__(self) -> int: ...

    def __getitem__(self, rows) -> np.ndarray:
        """uint8 array (B, size, size, 3), RGB, for an array of B item ids; (size, size, 3) for one id."""

    def reference(self) -> dict:
        """What `open_images` needs to open the store again."""


class ArrayImages:
    """A memory-mapped uint8 array (M, size, size, 3): decoding is never the bottleneck."""

    def __init__(self, file: Path):
        self.file = Path(file)
        if not self.file.is_file():
            raise BadInput(f"{self.file}: the images are gone; run notebook 00 again to make them")
        self.array = np.load(self.file, mmap_mode="r", allow_pickle=False)
        if self.array.dtype != np.uint8 or self.array.ndim != 4 or self.array.shape[3] != 3:
            raise BadInput(
                f"{self.file}: expected uint8 (M, size, size, 3), found {self.array.dtype} {self.array.shape}"
            )
        self.size = self.array.shape[1]

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows) -> np.ndarray:
        return np.asarray(self.array[rows])

    def reference(self) -> dict:
        return {"kind": "array", "file": str(self.file)}


def open_images(reference: dict) -> ImageStore:
    """Open a store from what its `reference()` gave."""
    if reference["kind"] == "array":
        return ArrayImages(Path(reference["file"]))
    if reference["kind"] == "files":
        return FileImages(Path(reference["source"]), reference["names"], reference["size"])
    raise BadInput(f"unknown kind of image store {reference['kind']!r}; known: array, files")


class FileImages:
    """Pictures decoded on the fly from a folder or a tar file, for collections that do not fit.

    Each picture is scaled so that its short side is `size` and its centre square is kept (Fang et al.
    2015, section 4.1). Nothing is unpacked: a tar file is read in place.

    Args:
        source: a folder or an uncompressed tar file.
        names: the file name of each item inside `source`.
        size: side of the returned squares in pixels.

    Raises:
        BadInput: a file is absent or is not a picture; the message names it.
    """

    def __init__(self, source: Path, names: list[str], size: int):
        self.source, self.names, self.size = Path(source), list(names), size
        self._members: dict[str, tuple[int, int]] = {}
        if self.source.is_file():
            with tarfile.open(self.source, "r:") as tar:
                self._members = {
                    m.name.removeprefix("./"): (m.offset_data, m.size) for m in tar if m.isfile()
                }
        elif not self.source.is_dir():
            raise BadInput(f"{self.source}: expected a folder or a tar file of pictures")

    def __len__(self) -> int:
        return len(self.names)

    def _bytes(self, name: str):
        if not self._members:
            return open(self.source / name, "rb")
        offset, size = self._members[name]
        with open(self.source, "rb") as stream:
            stream.seek(offset)
            return io.BytesIO(stream.read(size))

    def decode(self, name: str) -> np.ndarray:
        try:
            with self._bytes(name) as stream, Image.open(stream) as picture:
                return centre_square(picture.convert("RGB"), self.size)
        except (FileNotFoundError, KeyError):
            raise BadInput(f"{self.source}: no picture named {name}") from None
        except (UnidentifiedImageError, OSError) as error:
            # Pillow's message for an unknown format shows an object of this process, which helps nobody
            reason = "of no known format" if isinstance(error, UnidentifiedImageError) else str(error)
            raise BadInput(
                f"{self.source}: {name} is not a readable picture ({reason}); replace or remove it"
            ) from None

    def __getitem__(self, rows) -> np.ndarray:
        if np.ndim(rows) == 0 and not isinstance(rows, slice):
            return self.decode(self.names[int(rows)])
        chosen = np.arange(len(self.names))[rows]
        out = np.empty((len(chosen), self.size, self.size, 3), np.uint8)
        for position, row in enumerate(chosen):
            out[position] = self.decode(self.names[row])
        return out

    def reference(self) -> dict:
        return {"kind": "files", "source": str(self.source), "names": self.names, "size": self.size}


def centre_square(picture: Image.Image, size: int) -> np.ndarray:
    """Scale the short side to `size` and keep the centre square: uint8 (size, size, 3)."""
    width, height = picture.size
    scale = size / min(width, height)
    picture = picture.resize(
        (max(size, round(width * scale)), max(size, round(height * scale))), Image.Resampling.BILINEAR
    )
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    return np.asarray(picture.crop((left, top, left + size, top + size)))
