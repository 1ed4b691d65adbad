"""Downloads of the datasets that anybody may download: resumed, checked, unpacked. `CATALOGUE` names them.

`requests` speaks HTTP and `tqdm` shows the progress; `pooch`, which is often used for this, begins a download
that was cut anew, and the largest one here has 39 GB.
"""

import hashlib
import itertools
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

import requests
import yaml
from filelock import FileLock
from tqdm import tqdm

from helpers.errors import BadInput
from helpers.files import DAMAGED

TIMEOUT = (10, 60)  # seconds: to connect, and without a byte
LARGEST_RATIO = 100  # unpacked to packed; text reaches 10, a bomb 1000
PIECE = 2**14  # bytes, and what a cut can cost
LOST = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class File(NamedTuple):
    """A file to download."""

    url: str
    to: str  # below the data folder: the folder for an archive's content, or the file
    bytes: int | None = None
    digest: str = ""  # "sha256:…" or "md5:…", "" where none is published
    unpack: bool = True

    @property
    def name(self) -> str:
        return PurePosixPath(self.url).name


class Entry(NamedTuple):
    """A dataset."""

    what: str
    licence: str
    files: tuple[File, ...] = ()
    ask: str = ""  # where, if there are no files


def catalogue() -> dict[str, Entry]:
    """Name -> entry, from catalogue.yaml."""
    content = yaml.safe_load(Path(__file__).with_name("catalogue.yaml").read_text(encoding="utf-8"))
    files = {name: tuple(File(**file) for file in about.get("files", ())) for name, about in content.items()}
    return {name: Entry(**about | {"files": files[name]}) for name, about in content.items()}


CATALOGUE = catalogue()


def get(name: str, folder: Path) -> None:
    """Download and unpack what is not yet in the data folder, and say so.

    Archives lie in `folder/downloads`; one that was put there by hand is taken instead of a download. A
    second process waits for the first. BadInput: unknown name, no connection, a wrong answer or digest, no
    space, an archive that is damaged or dangerous; all that is left is the part of a cut download."""
    if name not in CATALOGUE:
        raise BadInput(f"dataset {name!r} is unknown; choose from {', '.join(CATALOGUE)}")
    entry = CATALOGUE[name]
    print(f"{name}: {entry.what}\nlicence: {entry.licence}")
    if not entry.files:
        raise BadInput(f"{name} cannot be fetched by a program; ask for it: {entry.ask}")
    downloads = folder / "downloads"
    try:
        downloads.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"--data-dir: {downloads} cannot be made ({error.strerror}); name another") from None
    with FileLock(downloads / f".{name}.lock"):
        for to, group in itertools.groupby(entry.files, key=lambda file: file.to):
            target, files = folder / to, list(group)
            if target.exists():
                print(f"{target}: is there; to get it anew, move it away")
                continue
            found = [(file, *obtained(file, downloads)) for file in files]
            place([downloads / file.name for file in files], target, files[0].unpack)
            for file, digest, known in found:
                if not known:  # trusted now, and from now on
                    beside(downloads / file.name).write_text(f"{digest}  {file.name}\n", encoding="utf-8")
                    print(f"{file.name}: no digest is published; its SHA-256 is kept beside it: {digest}")
            print(f"{target}: complete")


def obtained(file: File, downloads: Path) -> tuple[str, bool]:
    """Have a file in the folder of downloads, put by hand or downloaded now; gives what `checked` does."""
    target, part = downloads / file.name, downloads / f"{file.name}.part"
    if target.is_file():
        return checked(target, file, "remove it to download it, or put the right one there")
    size = f"{file.bytes / 1e6:,.1f} MB" if file.bytes else "size unknown"
    print(f"{file.url}: {size}, to {downloads}", flush=True)
    try:
        download(file, part)
    except (requests.RequestException, OSError) as error:
        reason = "there is no connection, or it was cut" if isinstance(error, LOST) else str(error)[:200]
        have = part.stat().st_size if part.is_file() else 0
        kept = f"; {have:,} bytes are kept, and the same command continues there" if have else ""
        by_hand = f"or download it by other means and put it at {target}"
        raise BadInput(f"{file.url}: not downloaded ({reason}){kept}; {by_hand}") from None
    try:
        found = checked(part, file, "the download is removed; try again later")
    except BadInput:
        part.unlink()
        raise
    part.rename(target)
    return found


def download(file: File, part: Path) -> None:
    """Add to `part` what it lacks of the file. Raises BadInput, requests.RequestException and OSError."""
    have = part.stat().st_size if part.is_file() else 0
    if have and have == file.bytes:
        return
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        plain = [a.url for a in (*answer.history, answer) if not a.url.startswith("https://")]
        if file.url.startswith("https://") and plain:
            raise BadInput(f"{file.url}: leads to {plain[0][:200]}, which is not encrypted; refused")
        if answer.status_code == 416:
            part.unlink()
            raise BadInput(f"{file.url}: has no more than {have:,} bytes; start again with the same command")
        if answer.status_code == 200:  # from the beginning, asked for a range or not
            have = 0
        elif answer.status_code != 206:
            raise requests.HTTPError(f"the server answers {answer.status_code} {answer.reason}")
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise requests.HTTPError("the server sends another range than it was asked for")
        length = answer.headers.get("Content-Length", "")
        size = have + int(length) if length.isdecimal() else file.bytes
        if file.bytes and size != file.bytes:
            raise BadInput(f"{file.url}: has {size:,} bytes, expected {file.bytes:,}; this is another file")
        refuse_if_full(part.parent, (size or 0) - have)
        bar = tqdm(total=size, initial=have, unit="B", unit_scale=True, desc=file.name, disable=None)
        with open(part, "ab" if have else "wb") as stream, bar:
            for piece in answer.iter_content(PIECE):
                have += len(piece)
                if size is not None and have > size:
                    raise BadInput(f"{file.url}: sends more than {size:,} bytes; try again later")
                stream.write(piece)
                bar.update(len(piece))
        if size is not None and have < size:
            raise requests.ConnectionError


def beside(archive: Path) -> Path:
    """Where the digest of a first download is kept, as sha256sum writes it."""
    return archive.with_name(f"{archive.name}.sha256")


def checked(path: Path, file: File, remedy: str) -> tuple[str, bool]:
    """The digest of a file, SHA-256 unless another is published, and whether it was known. BadInput: it is
    not the published one nor, where none is published, that of the first download."""
    kept = beside(path.with_name(file.name))
    known = kept.read_text(encoding="utf-8").split() if kept.is_file() else []
    algorithm, _, expected = (file.digest or ":".join(["sha256", *known[:1]])).partition(":")
    with open(path, "rb") as stream:
        found = hashlib.file_digest(stream, algorithm).hexdigest()
    if expected and found != expected:
        by = "" if file.digest else f" by {kept.name} (remove that if the change is meant)"
        raise BadInput(f"{path}: its {algorithm} is {found}, expected {expected}{by}; {remedy}")
    return found, bool(expected)


def place(archives: list[Path], target: Path, unpacked: bool) -> None:
    """Unpack archives into one new folder, or move a plain file there: `target`, with a rename at the end.
    The one folder that archives hold at their top, if they hold but one, is not repeated."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not unpacked:
        archives[0].rename(target)
        return
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
        content = Path(temporary) / "content"
        for archive in archives:
            unpack(archive, content)
        top = [entry for entry in content.iterdir() if entry.name != "__MACOSX"]
        (top[0] if len(top) == 1 and top[0].is_dir() else content).rename(target)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .zip or .tar, compressed or not, that holds plain files and folders below the folder only.
    BadInput: it holds anything else, is damaged, or is larger than the disk or than it can honestly be."""
    limit, total = LARGEST_RATIO * archive.stat().st_size, 0
    try:
        with zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive) as opened:
            for name, size, plain, extract in members(opened):
                path = PureWindowsPath(name)  # both / and \ separate; C: and a leading / are anchors
                if path.anchor or ".." in path.parts or not plain:
                    raise BadInput(f"{archive}: {name[:80]!r} is no plain file below one folder; refused")
                total += size
                if total > limit:
                    raise BadInput(f"{archive}: unpacks to more than {limit:,} bytes; refused")
                refuse_if_full(folder.parent, size)
                extract(folder)
    except BadInput:
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split())[:80]
        raise BadInput(f"{archive}: cannot be unpacked ({reason}); remove it and get it again") from None
    if not total:
        raise BadInput(f"{archive}: holds no files; remove it and get it again")


def members(opened: zipfile.ZipFile | tarfile.TarFile) -> Iterator[tuple]:
    """Name, bytes, whether it is a plain file or folder, and what extracts it into a folder."""
    if isinstance(opened, zipfile.ZipFile):
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where it was made on Windows
            plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            yield info.filename, info.file_size, plain, lambda to, info=info: opened.extract(info, to)
    else:
        for info in opened:  # one after another: a compressed archive is read only once
            plain = info.isfile() or info.isdir()
            yield info.name, info.size, plain, lambda to, info=info: opened.extract(info, to, filter="data")


def refuse_if_full(folder: Path, size: int) -> None:
    """BadInput: the disk has less space than a file of so many bytes needs."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise BadInput(f"{folder}: {size:,} bytes are needed and {free:,} free; make room or use --data-dir")
