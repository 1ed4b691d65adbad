"""Pictures of a folder or a tar file, decoded once into the array that everything else reads."""

import hashlib
import json
import re
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from helpers.data.images import ArrayImages, FileImages
from helpers.errors import BadInput
from helpers.files import replacing
from helpers.paths import cache

PICTURE = re.compile(r"(?:\./)?(?:[^/]+/)?0*(\d+)\.(?:jpe?g|png)", re.IGNORECASE)
CHUNK = 256


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
        names = sorted(str(f.relative_to(source)) for f in source.rglob("*") if f.is_file())
    elif source.is_file():
        try:
            with tarfile.open(source, "r:") as tar:
                names = sorted(m.name for m in tar if m.isfile())
        except tarfile.TarError as error:
            raise BadInput(
                f"{source}: not an uncompressed tar file ({error}); unpack it to a folder"
            ) from None
    else:
        raise BadInput(f"{source}: expected a folder or a tar file of pictures named <movie id>.jpg")
    found: dict[int, str] = {}
    for name in names:
        match = PICTURE.fullmatch(name)
        if match is None:
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


def decoded(source: Path, names: list[str], size: int, cache_folder: Path | None = None) -> ArrayImages:
    """Decode pictures to centre squares once, and keep the array.

    The kept file is named by a digest of the names, the size and each file's length and time of change,
    so a replaced picture is decoded anew.

    Args:
        source: a folder or an uncompressed tar file.
        names: the picture of each item, as named inside `source`.
        size: side of the squares in pixels.
        cache_folder: default `outputs/cache/pictures`.

    Raises:
        BadInput: a picture cannot be read; the message names it.
    """
    source = Path(source).resolve()
    stamped = [source / name for name in names] if source.is_dir() else [source]
    stamps = [(f.stat().st_size, f.stat().st_mtime_ns) for f in stamped if f.is_file()]
    key = json.dumps([str(source), names, size, stamps])
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    target = Path(cache_folder or cache() / "pictures") / f"{size}-{digest}.npy"
    if not target.is_file():
        files = FileImages(source, names, size)
        with replacing(target) as new, open(new, "wb") as stream:
            # written chunk by chunk: the whole need not fit into memory
            shape = (len(names), size, size, 3)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            starts = range(0, len(names), CHUNK)
            with ThreadPoolExecutor(4) as pool:  # Pillow decodes outside the interpreter lock
                for block in pool.map(lambda at: files[at : at + CHUNK], starts):
                    stream.write(block.tobytes())
    return ArrayImages(target)
