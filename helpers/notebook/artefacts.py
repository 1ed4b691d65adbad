"""What a notebook hands to the next: tables, arrays, weights, each with a digest of its content.

`manifest.json` in the folder lists every file with its SHA-256, so a damaged or exchanged file is found
when it is read. Nothing is pickled, so reading a file never runs code from it.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.errors import BadInput
from helpers.files import digest, opened, replacing, write_text

MANIFEST = "manifest.json"


def manifest(folder: Path) -> dict[str, dict]:
    """File or folder name -> {"sha256", "bytes"} of everything that was saved into `folder`."""
    file = Path(folder) / MANIFEST
    content = read_json(file) if file.is_file() else {}
    entries = content.values() if isinstance(content, dict) else [content]
    if not all(isinstance(entry, dict) and "sha256" in entry for entry in entries):
        raise BadInput(f"{file}: an entry has no sha256; run its folder's notebook again")
    return content


def read_json(file: Path):
    """The content of a JSON file; BadInput if it is absent or damaged."""
    try:
        return json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{file}: not readable as JSON ({error}); run its folder's notebook again") from None


def write_json(file: Path, content) -> None:
    """Write JSON with a rename at the end; NaN and infinity are refused (they are no JSON)."""
    write_text(Path(file), json.dumps(content, indent=2, allow_nan=False) + "\n")


def content_digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of all files in a folder."""
    if path.is_file():
        return digest(path)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    listing = "".join(f"{file.relative_to(path).as_posix()}\0{digest(file)}\n" for file in files)
    return hashlib.sha256(listing.encode()).hexdigest()


def record(folder: Path, name: str) -> None:
    """Enter `folder/name` (a file or a folder) in the manifest."""
    path = Path(folder) / name
    size = sum(f.stat().st_size for f in (path, *path.rglob("*")) if f.is_file())
    entry = {"sha256": content_digest(path), "bytes": size}
    write_json(Path(folder) / MANIFEST, manifest(folder) | {name: entry})


def verify(folder: Path, name: str, remedy: str) -> Path:
    """`folder/name`. BadInput, with the remedy, if it is absent, not in the manifest, or changed since."""
    path, entry = Path(folder) / name, manifest(folder).get(name)
    if entry is None or not path.exists():
        raise BadInput(f"{path}: not there; make it with: {remedy}")
    if content_digest(path) != entry["sha256"]:
        how = f"damaged or changed since it was saved (its digest differs from {MANIFEST})"
        raise BadInput(f"{path}: {how}; make it again with: {remedy} --force")
    return path


def save_table(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write `<name>.parquet` without the index; BadInput if that carries data, or a column holds objects."""
    if not isinstance(frame.index, pd.RangeIndex):
        raise BadInput(f"table {name}: the index would be lost; call reset_index(), or drop it (drop=True)")
    for column, values in frame.items():
        if values.dtype == object and not values.dropna().map(lambda v: isinstance(v, str)).all():
            only = "only numbers, times and text"
            raise BadInput(f"table {name}: column {column} holds Python objects; {only}")
    with replacing(Path(folder) / f"{name}.parquet") as new:
        frame.to_parquet(new, index=False)
    record(folder, f"{name}.parquet")


def read_table(folder: Path, name: str, remedy: str) -> pd.DataFrame:
    """The table that `save_table` wrote; see `verify` for the errors."""
    return _opened(pd.read_parquet, folder, f"{name}.parquet", remedy)


def save_arrays(folder: Path, name: str, arrays: dict[str, np.ndarray], save=np.savez) -> None:
    """Write `<name>.npz` without pickle, uncompressed unless `save` is np.savez_compressed."""
    arrays = {key: np.asarray(value) for key, value in arrays.items()}
    if not arrays:
        raise BadInput(f"arrays {name}: nothing to save")
    for key, value in arrays.items():
        if value.dtype.hasobject:
            raise BadInput(f"arrays {name}: {key} holds Python objects; use numbers or fixed-width text")
    with replacing(Path(folder) / f"{name}.npz") as new, open(new, "wb") as stream:
        save(stream, allow_pickle=False, **arrays)
    record(folder, f"{name}.npz")


def read_arrays(folder: Path, name: str, remedy: str) -> dict[str, np.ndarray]:
    """The arrays that `save_arrays` wrote, by name; see `verify` for the errors."""

    def reader(file: Path) -> dict[str, np.ndarray]:
        with np.load(file, allow_pickle=False) as stored:
            return dict(stored)

    return _opened(reader, folder, f"{name}.npz", remedy)


def save_weights(folder: Path, name: str, weights: dict) -> None:
    """Write a network's `state_dict()` as `<name>.safetensors`."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().cpu().contiguous().clone() for key, value in weights.items()}
    with replacing(Path(folder) / f"{name}.safetensors") as new:
        save_file(tensors, new)
    record(folder, f"{name}.safetensors")


def read_weights(folder: Path, name: str, remedy: str) -> dict:
    """The tensors that `save_weights` wrote, on the CPU; see `verify` for the errors."""
    from safetensors.torch import load_file

    return _opened(load_file, folder, f"{name}.safetensors", remedy)


def _opened(reader, folder: Path, name: str, remedy: str):
    """What a reader makes of a file that is as it was saved."""
    return opened(verify(folder, name, remedy), reader, f"make it again with: {remedy} --force")
