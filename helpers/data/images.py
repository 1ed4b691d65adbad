"""Pictures: one uint8 array on disk, or files that are decoded when they are asked for."""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from helpers.errors import BadInput
from helpers.files import replacing
from helpers.paths import cache

# every usual ending: what Pillow cannot read is then named as unreadable, and not passed over
PICTURE = re.compile(
    r"(?:\./)?(?:[^/]+/)?0*(\d+)\.(?:jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|jp2|jxl|svg)",
    re.IGNORECASE,
)
CHUNK = 256
NAMED = 10  # at most, of the pictures that cannot be read
AGAIN = "or run notebook 00 again (with --force)"

# Pillow refuses pictures of more than twice its limit; below, its warning would only land in a notebook
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class ImageStore(Protocol):
    """Row i is the picture of item i."""

    size: int

    def __len__(self) -> int: ...

    def __getitem__(self, rows) -> np.ndarray:
        """uint8 array (B, size, size, 3), RGB, for an array of B item ids; (size, size, 3) for one id."""

    def reference(self) -> dict:
        """Where the pictures lie."""

    def save(self, folder: Path) -> dict:
        """Put the pictures into `folder` if need be; what `open_images` needs to open them from there."""


class ArrayImages:
    """A memory-mapped uint8 array (M, size, size, 3): decoding is never the bottleneck."""

    def __init__(self, file: Path):
        self.file = Path(file)
        if not self.file.is_file():
            raise BadInput(f"{self.file}: the images are gone; run notebook 00 again (with --force)")
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

    def save(self, folder: Path) -> dict:
        target = folder / "pictures.npy"
        try:
            os.link(self.file.resolve(), target)  # no second copy, where the file system can
        except OSError:
            shutil.copy2(self.file, target)
        return {"kind": "array", "file": target.name}


class FileImages:
    """Pictures decoded on the fly from a folder or a tar file, for collections that do not fit.

    Each picture is scaled so that its short side is `size` and its centre square is kept (Fang et al.
    2015, section 4.1). Nothing is unpacked: a tar file is read in place.

    Args:
        source: a folder or an uncompressed tar file.
        names: the file name of each item inside `source`.
        size: side of the returned squares in pixels.

    Raises:
        BadInput: files are absent or are no pictures; the message names them.
    """

    def __init__(self, source: Path, names: Sequence[str], size: int):
        self.source, self.names, self.size = Path(source), list(names), size
        self._members: dict[str, tuple[int, int]] = {}
        if not self.source.is_dir():
            self._members = {
                m.name.removeprefix("./"): (m.offset_data, m.size) for m in tar_members(self.source)
            }

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows) -> np.ndarray:
        chosen = np.arange(len(self.names))[rows]
        pictures, unreadable = self.read([self.names[row] for row in np.atleast_1d(chosen)])
        if unreadable:
            raise BadInput(refusal(self.source, unreadable))
        return pictures if np.ndim(chosen) else pictures[0]

    def read(self, names: Sequence[str]) -> tuple[np.ndarray, dict[str, str]]:
        """The pictures that can be read, uint8 (B, size, size, 3); and name -> reason of the others."""
        out, unreadable, filled = np.empty((len(names), self.size, self.size, 3), np.uint8), {}, 0
        for name in names:
            try:
                with self._stream(name) as stream, Image.open(stream) as opened:
                    picture = opened.convert("RGB")
            except MemoryError:
                raise
            except Exception as error:  # a damaged file makes Pillow raise errors of any kind
                unreadable[name] = _reason(name, error)
                continue
            out[filled] = centre_square(picture, self.size)
            filled += 1
        return out[:filled], unreadable

    def read_all(self) -> Iterator[tuple[np.ndarray, dict[str, str]]]:
        """What `read` gives for all names, `CHUNK` of them at a time."""
        chunks = [self.names[at : at + CHUNK] for at in range(0, len(self.names), CHUNK)]
        with ThreadPoolExecutor(4) as pool:  # Pillow decodes outside the interpreter lock
            yield from pool.map(self.read, chunks)

    def _stream(self, name: str):
        if self.source.is_dir():
            return open(self.source / name, "rb")
        if name not in self._members:
            raise FileNotFoundError
        offset, size = self._members[name]
        with open(self.source, "rb") as stream:
            stream.seek(offset)
            return io.BytesIO(stream.read(size))

    def there(self) -> np.ndarray:
        """bool (M,): which files are there."""
        if self.source.is_dir():
            return present(self.source, self.names)
        return np.array([name in self._members for name in self.names], bool)

    def reference(self) -> dict:
        return {"kind": "files", "source": str(self.source), "names": self.names, "size": self.size}

    def save(self, folder: Path) -> dict:
        source = self.source.resolve()
        try:
            source = os.path.relpath(source, folder.resolve())
        except ValueError:
            pass  # on another drive of Windows, where no relative path leads
        return self.reference() | {"source": Path(source).as_posix()}


def open_images(reference: dict, folder: Path) -> ImageStore:
    """Open a store from what its `save(folder)` gave. Raises BadInput: pictures are gone."""
    if reference["kind"] == "array":
        return ArrayImages(folder / reference["file"])
    if reference["kind"] != "files":
        raise BadInput(f"unknown kind of image store {reference['kind']!r}; known: array, files")
    source = Path(os.path.normpath(folder.resolve() / reference["source"]))
    if not source.exists():
        raise BadInput(f"{folder}: its pictures lie in {source}, which is gone; put it there, {AGAIN}")
    store = FileImages(source, reference["names"], reference["size"])
    there = store.there()
    if not there.all():
        first = store.names[int((~there).argmax())]
        raise BadInput(
            f"{source}: {(~there).sum()} of {len(there)} pictures are gone, the first is {first}; put them"
            f" there, {AGAIN}"
        )
    return store


def present(folder: Path, names: Sequence[str]) -> np.ndarray:
    """bool (n,): which files are there. A folder is listed once, not asked for each file."""
    files = [folder / name for name in names]
    listings = {here: set(os.listdir(here)) for here in {f.parent for f in files} if here.is_dir()}
    return np.array([file.name in listings.get(file.parent, ()) for file in files], bool)


def tar_members(source: Path) -> list[tarfile.TarInfo]:
    """The files inside an uncompressed tar file.

    Raises BadInput: there is no such file, or it is no uncompressed tar file.
    """
    if not source.is_file():
        raise BadInput(f"{source}: expected a folder or a tar file of pictures")
    try:
        with tarfile.open(source, "r:") as tar:
            return [member for member in tar if member.isfile()]
    except tarfile.TarError as error:
        raise BadInput(f"{source}: not an uncompressed tar file ({error}); unpack it to a folder") from None


def _reason(name: str, error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"no picture named {name} is there"
    if isinstance(error, UnidentifiedImageError):
        return "of no known format"  # Pillow's message shows an object of this process, which helps nobody
    if isinstance(error, Image.DecompressionBombError):
        return f"{str(error).partition(', could')[0]}: scale it down"
    return " ".join(f"{error or type(error).__name__}".split())


def refusal(source: Path, unreadable: dict[str, str], otherwise: str = "") -> str:
    """The sentence on pictures that cannot be read, the first of them with their reasons."""
    n = len(unreadable)
    if n == 1:
        name, reason = next(iter(unreadable.items()))
        return f"{source}: {name} is not a readable picture ({reason}); replace or remove it{otherwise}"
    some = ", ".join([f"{name} ({reason})" for name, reason in unreadable.items()][:NAMED])
    more = ", …" if n > NAMED else ""
    return f"{source}: {n} pictures are not readable: {some}{more}; replace or remove them{otherwise}"


def keep_array(target: Path, array: np.ndarray) -> None:
    """Save an array as .npy; a reader sees the whole file or none."""
    with replacing(target) as new, open(new, "wb") as stream:
        np.save(stream, array, allow_pickle=False)


def numbered_pictures(source: Path) -> dict[int, str]:
    """The pictures of a folder or a tar file that are named by a number: number -> name inside.

    Raises:
        BadInput: there is no such place, it is no uncompressed tar file, a number occurs twice, or no
            picture has a number for a name.
    """
    source = Path(source)
    if source.is_dir():
        names = sorted(f.relative_to(source).as_posix() for f in source.rglob("*") if f.is_file())
    else:
        names = sorted(member.name for member in tar_members(source))
    found: dict[int, str] = {}
    for name in names:
        if (match := PICTURE.fullmatch(name)) is None:
            continue
        number = int(match[1])
        if number in found:
            raise BadInput(
                f"{source}: two pictures for number {number}: {found[number]} and {name}; remove one"
            )
        found[number] = name.removeprefix("./")
    if not found:
        raise BadInput(f"{source}: no picture is named <movie id>.jpg (found {len(names)} other files)")
    return found


def decoded(
    source: Path, names: list[str], size: int, leave_out: bool = False, cache_folder: Path | None = None
) -> tuple[ArrayImages, dict[str, str]]:
    """Decode pictures to centre squares once, and keep the array.

    The kept file is named by a digest of the names, the size and each file's length and time of change,
    so a replaced picture is decoded anew.

    Args:
        source: a folder or an uncompressed tar file.
        names: the pictures, as named inside `source`.
        size: side of the squares in pixels.
        leave_out: go on without the pictures that cannot be read.
        cache_folder: default `outputs/cache/pictures`.

    Returns:
        the pictures that can be read, in order; and name -> reason of those that are left out.

    Raises:
        BadInput: pictures cannot be read; the message names them.
    """
    source = Path(source).resolve()
    stamped = [source / name for name in names] if source.is_dir() else [source]
    stamps = [(f.stat().st_size, f.stat().st_mtime_ns) for f in stamped if f.is_file()]
    key = json.dumps([str(source), names, size, stamps])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    target = Path(cache_folder or cache() / "pictures") / f"{size}-{digest}.npy"
    beside = target.with_suffix(".json")
    unreadable: dict[str, str] = {}

    def refuse_unreadable() -> None:
        if unreadable and not leave_out:
            raise BadInput(refusal(source, unreadable, ", or load with leave_out_unreadable=True"))

    def header(rows: int) -> dict:
        return {"descr": "|u1", "fortran_order": False, "shape": (rows, size, size, 3)}

    if target.is_file() and beside.is_file():
        unreadable = json.loads(beside.read_text(encoding="utf-8"))
        refuse_unreadable()
        return ArrayImages(target), unreadable
    # written chunk by chunk: the whole need not fit into memory
    with replacing(beside) as note, replacing(target) as new, open(new, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header(len(names)))
        for pictures, reasons in FileImages(source, names, size).read_all():
            stream.write(pictures.tobytes())
            unreadable |= reasons
        refuse_unreadable()
        stream.seek(0)  # numpy's header has room for any number of rows
        np.lib.format.write_array_header_1_0(stream, header(len(names) - len(unreadable)))
        note.write_text(json.dumps(unreadable), encoding="utf-8")
    return ArrayImages(target), unreadable


def centre_square(picture: Image.Image, size: int) -> np.ndarray:
    """Scale the short side to `size` and keep the centre square: uint8 (size, size, 3)."""
    width, height = picture.size
    scale = size / min(width, height)
    picture = picture.resize(
        (max(size, round(width * scale)), max(size, round(height * scale))), Image.Resampling.BILINEAR
    )
    left, top = (picture.width - size) // 2, (picture.height - size) // 2
    return np.asarray(picture.crop((left, top, left + size, top + size)))
