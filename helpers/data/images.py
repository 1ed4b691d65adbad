"""Pictures: one uint8 array on disk, or files that are decoded when they are asked for."""

import hashlib
import io
import json
import os
import re
import shutil
import tarfile
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from helpers.errors import BadInput
from helpers.files import opened, replacing
from helpers.paths import cache

# every usual ending: what Pillow cannot read is then named as unreadable, and not passed over
ENDING = r"\.(?:jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|jp2|jxl|svg)"
PICTURE = re.compile(rf"(?:.*/)?[^./][^/]*{ENDING}", re.IGNORECASE | re.DOTALL)
NUMBERED = re.compile(rf"(?:[^/]+/)?0*(\d+){ENDING}", re.IGNORECASE)
CHUNK = 256
LONGEST = 100  # long side to short side: a strip of one pixel's width would fill the memory when it is scaled
NAMED = 10  # at most, of the pictures that cannot be read
AGAIN = "run notebook 00 again (with --force)"

# Pillow refuses pictures of more than twice its limit; below, its warning would only land in a notebook
warnings.simplefilter("ignore", Image.DecompressionBombWarning)


class ArrayImages:
    """A memory-mapped uint8 array (M, size, size, 3), RGB: decoding is never the bottleneck."""

    def __init__(self, file: Path):
        self.file = Path(file)
        if not self.file.is_file():
            raise BadInput(f"{self.file}: the images are gone; {AGAIN}")
        self.array = a = opened(self.file, partial(np.load, mmap_mode="r", allow_pickle=False), AGAIN)
        if a.dtype != np.uint8 or a.ndim != 4 or a.shape[3] != 3:
            raise BadInput(f"{self.file}: expected uint8 (M, size, size, 3), found {a.dtype} {a.shape}")
        self.size = a.shape[1]

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
    """Files `names` of a folder or an uncompressed tar file, decoded on the fly, for what does not fit.

    A picture is scaled so that its short side is `size` pixels, and its centre square is kept (Fang et al.
    2015, section 4.1). A tar file is read in place. Raises BadInput, when asked for pictures: files are
    absent or are no pictures; the message names them."""

    def __init__(self, source: Path, names: Sequence[str], size: int):
        self.source, self.names, self.size = Path(source), list(names), size
        members = [] if self.source.is_dir() else tar_members(self.source)
        self.members = {name: (at, length) for name, at, length in members}

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
        pictures, unreadable = [], {}
        for name in names:
            try:
                with self._stream(name) as stream, Image.open(stream) as found:
                    if max(found.size) > LONGEST * min(found.size):
                        raise ValueError(f"{found.width} x {found.height} pixels: crop it")
                    picture = found.convert("RGB")
            except MemoryError:
                raise
            except Exception as error:  # a damaged file makes Pillow raise errors of any kind
                unreadable[name] = _reason(name, error)
            else:
                pictures.append(centre_square(picture, self.size))
        return np.array(pictures, np.uint8).reshape(-1, self.size, self.size, 3), unreadable

    def read_all(self) -> Iterator[tuple[np.ndarray, dict[str, str]]]:
        """What `read` gives for all names, `CHUNK` of them at a time."""
        chunks = [self.names[at : at + CHUNK] for at in range(0, len(self.names), CHUNK)]
        with ThreadPoolExecutor(4) as pool:  # Pillow decodes outside the interpreter lock
            yield from pool.map(self.read, chunks)

    def _stream(self, name: str):
        if self.source.is_dir():
            return open(self.source / name, "rb")
        if name not in self.members:
            raise FileNotFoundError
        at, length = self.members[name]
        with open(self.source, "rb") as stream:
            stream.seek(at)
            return io.BytesIO(stream.read(length))

    def reference(self) -> dict:
        return {"kind": "files", "source": str(self.source), "names": self.names, "size": self.size}

    def save(self, folder: Path) -> dict:
        source = self.source.resolve()
        try:
            source = os.path.relpath(source, folder.resolve())
        except ValueError:
            pass  # on another drive of Windows, where no relative path leads
        return self.reference() | {"source": Path(source).as_posix()}


class GreyImages:
    """A grey square for each item of a dataset without pictures."""

    def __init__(self, number: int, size: int):
        self.number, self.size = number, size

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, rows) -> np.ndarray:
        shape = np.arange(self.number)[rows].shape
        return np.full((*shape, self.size, self.size, 3), 128, np.uint8)

    def reference(self) -> dict:
        return {"kind": "grey", "number": self.number, "size": self.size}

    def save(self, folder: Path) -> dict:
        return self.reference()


# Row i is the picture of item i: `store[rows]` is uint8 (B, size, size, 3), RGB, for an array of B item ids
# and (size, size, 3) for one id. `reference()` tells where the pictures lie; `save(folder)` puts them there
# if need be, and gives what `open_images` needs to open them from there.
ImageStore = ArrayImages | FileImages | GreyImages


def open_images(reference: dict, folder: Path) -> ImageStore:
    """Open a store from what its `save(folder)` gave. Raises BadInput: pictures are gone."""
    if reference["kind"] == "array":
        return ArrayImages(folder / reference["file"])
    if reference["kind"] == "grey":
        return GreyImages(reference["number"], reference["size"])
    if reference["kind"] != "files":
        raise BadInput(f"unknown kind of image store {reference['kind']!r}; known: array, files, grey")
    source = Path(os.path.normpath(folder.resolve() / reference["source"]))
    if not source.exists():
        raise BadInput(f"{folder}: its pictures lie in {source}, which is gone; put it there, or {AGAIN}")
    store = FileImages(source, reference["names"], reference["size"])
    there = present(source, store.names) if source.is_dir() else np.isin(store.names, list(store.members))
    if not there.all():
        raise BadInput(
            f"{source}: {(~there).sum()} of {len(store)} pictures are gone, the first is"
            f" {store.names[there.argmin()]}; put them there, or {AGAIN}"
        )
    return store


def present(folder: Path, names: Sequence[str]) -> np.ndarray:
    """bool (n,): which files are there. A folder is listed once, not asked for each file."""
    files = [folder / name for name in names]
    listings = {here: set(os.listdir(here)) for here in {f.parent for f in files} if here.is_dir()}
    return np.array([file.name in listings.get(file.parent, ()) for file in files], bool)


def tar_members(source: Path) -> list[tuple[str, int, int]]:
    """Name, position and length in bytes of each file inside an uncompressed tar file; BadInput if it is
    not there, or no such file."""
    if not source.is_file():
        raise BadInput(f"{source}: expected a folder or a tar file of pictures")
    try:
        with tarfile.open(source, "r:") as tar:
            return [(m.name.removeprefix("./"), m.offset_data, m.size) for m in tar if m.isfile()]
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
        [(name, reason)] = unreadable.items()
        return f"{source}: {name} is not a readable picture ({reason}); replace or remove it{otherwise}"
    some = ", ".join([f"{name} ({reason})" for name, reason in unreadable.items()][:NAMED])
    more = ", …" if n > NAMED else ""
    return f"{source}: {n} pictures are not readable: {some}{more}; replace or remove them{otherwise}"


def keep_array(target: Path, array: np.ndarray) -> None:
    """Save an array as .npy; a reader sees the whole file or none."""
    with replacing(target) as new, open(new, "wb") as stream:
        np.save(stream, array, allow_pickle=False)


def picture_names(source: Path) -> list[str]:
    """The names of pictures in a folder and its subfolders, or in a tar file, sorted, with "/". Hidden files
    are passed over. Raises BadInput: no such place, or no uncompressed tar file."""
    if source.is_dir():
        names = (f.relative_to(source).as_posix() for f in source.rglob("*") if f.is_file())
    else:
        names = (name for name, *_ in tar_members(source))
    return sorted(filter(PICTURE.fullmatch, names))


def aliases(names: Sequence[str]) -> dict[str, str]:
    """What names one picture, as `ends`, without what fits several."""
    return {alias: name for alias, name in ends(names).items() if name is not None}


def ends(names: Sequence[str]) -> dict[str, str | None]:
    """What may name each picture, in Unicode's composed form: its path or an end of its path, with or without
    the ending. None for what fits several pictures; but a whole path names its picture whatever else fits."""
    found: dict[str, str | None] = {}
    for name in names:
        parts = unicodedata.normalize("NFC", name).split("/")
        for start in range(len(parts)):
            end = "/".join(parts[start:])
            for alias in (end, end.rpartition(".")[0]):
                found[alias] = None if alias in found else name
    return found | {unicodedata.normalize("NFC", name): name for name in names}


def numbered_pictures(source: Path) -> dict[int, str]:
    """The pictures of a folder or a tar file that are named by a number: number -> name inside. Raises
    BadInput: no such place, no uncompressed tar file, a number occurs twice, or none is a name."""
    names = picture_names(source)
    found: dict[int, str] = {}
    for match in filter(None, map(NUMBERED.fullmatch, names)):
        name, number = match[0], int(match[1])
        if number in found:
            two = f"{found[number]} and {name}"
            raise BadInput(f"{source}: two pictures for number {number}: {two}; remove one")
        found[number] = name
    if not found:
        raise BadInput(f"{source}: no picture is named <movie id>.jpg (found {len(names)} other pictures)")
    return found


def decoded(
    source: Path, names: list[str], size: int, leave_out: bool = False
) -> tuple[ArrayImages, dict[str, str]]:
    """Decode pictures of a folder or tar file to centre squares once, and keep the array.

    It is kept in `outputs/cache/pictures` under a digest of the names, the size and each file's length and
    time of change, so a replaced picture is decoded anew. Returns the pictures that can be read, in order,
    and name -> reason of the others: with `leave_out` they are left out, else BadInput names them."""
    source = source.resolve()
    stamped = [source / name for name in names] if source.is_dir() else [source]
    stamps = [(f.stat().st_size, f.stat().st_mtime_ns) for f in stamped if f.is_file()]
    key = json.dumps([str(source), names, size, stamps])
    target = cache() / "pictures" / f"{size}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npy"
    beside = target.with_suffix(".json")
    if target.is_file() and beside.is_file():
        with suppress(ValueError):  # what is kept is damaged: decoded again
            unreadable = json.loads(beside.read_text(encoding="utf-8"))
            if leave_out or not unreadable:
                return ArrayImages(target), unreadable
    unreadable, read = {}, 0
    header = {"descr": "|u1", "fortran_order": False, "shape": (len(names), size, size, 3)}
    # written chunk by chunk: the whole need not fit into memory
    with replacing(beside) as note, replacing(target) as new, open(new, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for pictures, reasons in FileImages(source, names, size).read_all():
            stream.write(pictures.tobytes())
            unreadable |= reasons
            read += len(pictures)
        if unreadable and not leave_out:
            raise BadInput(refusal(source, unreadable, ", or load with leave_out_unreadable=True"))
        stream.seek(0)  # numpy's header has room for any number of rows
        header["shape"] = (read, size, size, 3)  # items may share a picture, so its name stands once or more
        np.lib.format.write_array_header_1_0(stream, header)
        note.write_text(json.dumps(unreadable), encoding="utf-8")
    return ArrayImages(target), unreadable


def centre_square(picture: Image.Image, size: int) -> np.ndarray:
    """Scale the short side to `size` and keep the centre square: uint8 (size, size, 3)."""
    scale = size / min(picture.size)
    width, height = (max(size, round(side * scale)) for side in picture.size)
    left, top = (width - size) // 2, (height - size) // 2
    scaled = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(scaled.crop((left, top, left + size, top + size)))
