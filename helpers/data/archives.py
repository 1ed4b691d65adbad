"""A folder or a .zip of data files, read in place."""

import zipfile
from pathlib import Path, PurePosixPath

import pyarrow as pa

from helpers.errors import BadInput


class Source:
    """The files directly inside a folder, or inside a .zip (or its one top-level folder).

    Nothing is ever unpacked: a member of a .zip is read into memory, and only under a plain name, so a
    member called `../../x` can neither be reached nor written.

    Raises:
        BadInput: there is no such place, or it is not a readable .zip.
    """

    def __init__(self, path: Path):
        self.path = Path(path)
        self._zip: zipfile.ZipFile | None = None
        self._members: dict[str, str] = {}
        if self.path.is_dir():
            self._members = {f.name: f.name for f in sorted(self.path.iterdir()) if f.is_file()}
        elif self.path.is_file():
            try:
                self._zip = zipfile.ZipFile(self.path)
            except zipfile.BadZipFile as error:
                raise BadInput(f"{self.path}: not a readable .zip ({error}); download it again") from None
            for info in self._zip.infolist():
                parts = PurePosixPath(info.filename).parts
                if not info.is_dir() and len(parts) <= 2 and not {"..", "/", "__MACOSX"} & set(parts):
                    self._members.setdefault(parts[-1], info.filename)
        else:
            raise BadInput(f"{self.path}: no such folder or .zip file")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    @property
    def label(self) -> str:
        """A short name for the release, which stays the same when the folder is moved."""
        return self.path.resolve().name.removesuffix(".zip")

    def where(self, name: str) -> str:
        """How messages name a file of this source."""
        return f"{self.path}/{name}" if self._zip is None else f"{self.path}({name})"

    def buffer(self, name: str) -> pa.Buffer:
        """The content of a file: mapped into memory from a folder, read from a .zip.

        Raises:
            BadInput: the file is absent, empty or damaged.
        """
        if name not in self._members:
            raise BadInput(f"{self.path}: {name} is missing; found {', '.join(self._members) or 'no files'}")
        try:
            if self._zip is None:
                file = self.path / name
                content = pa.memory_map(str(file)).read_buffer() if file.stat().st_size else pa.py_buffer(b"")
            else:
                content = pa.py_buffer(self._zip.read(self._members[name]))
        except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise BadInput(f"{self.where(name)}: cannot be read ({error}); download the .zip again") from None
        if content.size == 0:
            raise BadInput(f"{self.where(name)}: the file is empty; download it again")
        return content
