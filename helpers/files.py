"""Files: names that a user gives, writing so that nothing is ever half-written, digests."""

import hashlib
import lzma
import os
import secrets
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.errors import BadInput

# what Python's readers of compressed files and archives raise where the content is damaged
DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError)
DAMAGED += (OSError, RuntimeError, ValueError)


def given_path(argument: str, text: str | Path) -> Path:
    """A path that a user gave, with ~ resolved; it need not exist.

    Raises:
        BadInput: the operating system has no such path (a NUL byte, too long a name) or denies it.
    """
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"{argument}: {str(text)[:80]!r} cannot be used as a path ({reason})") from None
    return path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A temporary name beside `target` that becomes `target` only if the block ends without an error.

    The block may create a file or a folder there. A folder that is already at `target` is removed just
    before the rename, so a reader sees the old content or the new, never a mixture.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    new = target.with_name(f".{target.name}.new-{secrets.token_hex(4)}")
    try:
        yield new
        if new.is_dir() and target.exists():
            shutil.rmtree(target)
        os.replace(new, target)
    finally:
        if new.is_dir():
            shutil.rmtree(new)
        elif new.exists():
            new.unlink()


def write_text(file: Path, text: str) -> None:
    """Write UTF-8 with the line ends of every system's Git, by `replacing`."""
    with replacing(file) as new:
        new.write_text(text, encoding="utf-8", newline="\n")


def opened(file: Path, reader: Callable, remedy: str):
    """What a reader makes of a file. BadInput, with the remedy: it is damaged."""
    try:
        return reader(file)
    except BadInput:
        raise
    except Exception as error:  # for a damaged file, readers raise errors of any kind
        reason = " ".join(f"{type(error).__name__} {error}".split())[:200]
        raise BadInput(f"{file}: not a readable {file.suffix[1:]} file ({reason}); {remedy}") from None


def digest(file: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
