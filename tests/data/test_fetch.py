"""Downloads from a server on this machine that misbehaves in every way, and archives that mean harm."""

import hashlib
import io
import os
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from helpers.data import fetch
from helpers.data.__main__ import main
from helpers.data.fetch import CATALOGUE, Entry, File, get
from helpers.data.sets import BROUGHT
from helpers.errors import BadInput


def zipped(files):
    """The bytes of a .zip, of name -> content or (ZipInfo, content)."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(*files, mode="w:gz", **about):
    """The bytes of a .tar.gz, of (name, content); `about` is set on every member."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in about.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content) if info.isfile() else None)
    return out.getvalue()


NOISE = os.urandom(300_000)
GOOD = zipped({"ml-x/ratings.csv": b"1,2\n", "ml-x/noise": NOISE})
FILES = {"ratings.csv": b"1,2\n", "noise": NOISE}


class Server(ThreadingHTTPServer):
    """Answers with `content`; `mood` is what goes wrong, a request each; `asked` and `sent` are its diary."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.mood, self.asked, self.sent = GOOD, [], [], []
        self.url = f"http://127.0.0.1:{self.server_port}/ml-x.zip"

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is no error here


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, asked = self.server, self.headers.get("Range")
        server.asked.append(asked)
        mood = server.mood.pop(0) if server.mood else {}
        first = int(asked.removeprefix("bytes=").rstrip("-")) if asked and "whole" not in mood else 0
        body = server.content[first + mood.get("shift", 0) :]
        status = mood.get("status", 206 if first else 200)
        self.send_response(416 if first > len(server.content) else status)
        if "to" in mood:
            self.send_header("Location", mood["to"])
        if first:
            begin = first + mood.get("shift", 0)
            self.send_header(
                "Content-Range", f"bytes {begin}-{len(server.content) - 1}/{len(server.content)}"
            )
        if mood.get("length", "") is not None:
            self.send_header("Content-Length", mood.get("length", len(body)))
        self.end_headers()
        body = body[: mood.get("cut", len(body))]
        server.sent.append(len(body))
        self.wfile.write(body)
        self.wfile.flush()
        if "then" in mood:
            mood["then"]()


@pytest.fixture
def server():
    running = Server()
    threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


def sha256(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


@pytest.fixture
def dataset(server, monkeypatch):
    """Makes `x` a dataset of one archive, which the server then has."""

    def make(content=GOOD, *, known=True, name="ml-x.zip", **about):
        server.content = content
        known = {"bytes": len(content), "digest": sha256(content)} if known else {}
        file = File(server.url.replace("ml-x.zip", name), **{"to": "ml-x"} | known | about)
        monkeypatch.setitem(CATALOGUE, "x", Entry("invented numbers", "for tests", (file,)))
        return file

    return make


def content(folder):
    files = (f for f in folder.rglob("*") if f.is_file() and f.suffix != ".lock")
    return {f.relative_to(folder).as_posix(): f.read_bytes() for f in files}


def refused(folder, *fragments):
    """The message of a refusal; nothing is unpacked."""
    with pytest.raises(BadInput) as stop:
        get("x", folder)
    for fragment in fragments:
        assert fragment in str(stop.value)
    assert "\n" not in str(stop.value)
    assert not (folder / "ml-x").exists()
    assert not [f for f in folder.iterdir() if f.name != "downloads"], "nothing half-unpacked is left"
    return str(stop.value)


def left(folder):
    return sorted(f.name for f in (folder / "downloads").iterdir() if not f.name.startswith("."))


@pytest.mark.parametrize("known", [True, False])
def test_a_dataset_is_downloaded_once(server, dataset, tmp_path, capsys, known):
    dataset(known=known)
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES
    told = capsys.readouterr().out
    assert "invented numbers" in told
    assert "for tests" in told
    assert server.url in told
    assert (sha256(GOOD).removeprefix("sha256:") in told) != known, "an unknown digest is shown"
    get("x", tmp_path)
    assert "is there; to get it anew, move it away" in capsys.readouterr().out
    assert server.asked == [None]


def test_a_cut_download_is_continued_where_it_was_cut(server, dataset, tmp_path):
    file = dataset()
    server.mood = [{"cut": 200_000}, {"cut": 50_000}]
    for _ in range(2):
        told = refused(tmp_path, server.url, "bytes are kept", str(tmp_path / "downloads" / "ml-x.zip"))
        assert left(tmp_path) == ["ml-x.zip.part"]
        have = (tmp_path / "downloads" / "ml-x.zip.part").stat().st_size
        assert f"{have:,} bytes" in told
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES
    first, second, third = (int(a.strip("bytes=-")) if a else 0 for a in server.asked)
    assert 0 == first < second < third < file.bytes
    assert second > 200_000 - 2**14
    assert server.sent[2] == file.bytes - third, "no byte is sent twice"


def test_a_server_that_ignores_ranges(server, dataset, tmp_path):
    dataset()
    server.mood = [{"cut": 200_000}, {"whole": True}]
    refused(tmp_path, "the same command continues")
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES
    assert server.sent[1] == len(GOOD)


@pytest.mark.parametrize(
    ("mood", "fragment", "kept"),
    [
        ({"status": 404}, "answers 404", 0),
        ({"status": 500}, "answers 500", 0),
        ({"length": len(GOOD) + 10}, f"has {len(GOOD) + 10:,} bytes, expected {len(GOOD):,}", 0),
        ({"length": len(GOOD) - 10}, "this is another file", 0),
        ({"status": 302, "to": "file:///etc/passwd"}, "file:///etc/passwd", 0),
        ({"status": 302, "to": "ftp://127.0.0.1/x"}, "ftp://127.0.0.1/x", 0),
        ({"status": 302, "to": "/ml-x.zip"}, "30 redirects", 0),
        ({"cut": 0}, "it was cut", 0),
        ({"cut": 1000, "length": None}, "1,000 bytes are kept", 1000),
    ],
)
def test_wrong_answers(server, dataset, tmp_path, mood, fragment, kept):
    dataset()
    server.mood = [mood] * 40
    refused(tmp_path, fragment, server.url)
    assert sum(map(len, content(tmp_path / "downloads").values())) == kept
    server.mood = []
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES


def test_more_than_was_announced_is_not_written(server, dataset, tmp_path):
    file = dataset(bytes=1000)
    server.mood = [{"length": None}]
    refused(tmp_path, "sends more than 1,000 bytes")
    assert sum(map(len, content(tmp_path / "downloads").values())) <= file.bytes


def test_another_range_than_asked_for(server, dataset, tmp_path):
    dataset()
    server.mood = [{"cut": 200_000}, {"shift": 7}]
    refused(tmp_path)
    refused(tmp_path, "another range")
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES


def test_a_part_that_is_too_long_is_dropped(server, dataset, tmp_path):
    dataset()
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "ml-x.zip.part").write_bytes(GOOD + b"more")
    refused(tmp_path, "start again")
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES


def test_a_wrong_digest_leaves_nothing(server, dataset, tmp_path):
    dataset()
    server.content = GOOD[:-1] + b"x"
    refused(tmp_path, "its sha256 is", sha256(GOOD).removeprefix("sha256:"), "the download is removed")
    assert left(tmp_path) == []


def test_an_encrypted_address_must_not_lead_to_another(server, dataset, tmp_path, monkeypatch):
    """No certificate is needed for this: the answer pretends to come from an encrypted address."""
    file = dataset()
    secret = file._replace(url="https://example.invalid/ml-x.zip")
    monkeypatch.setitem(CATALOGUE, "x", Entry("invented numbers", "for tests", (secret,)))
    real = fetch.requests.get
    monkeypatch.setattr(fetch.requests, "get", lambda url, **more: real(server.url, **more))
    refused(tmp_path, "https://example.invalid/ml-x.zip", "not encrypted")


def test_the_first_download_is_trusted_and_then_another_is_refused(server, dataset, tmp_path):
    dataset(known=False)
    get("x", tmp_path)
    assert left(tmp_path) == ["ml-x.zip", "ml-x.zip.sha256"]
    shutil.rmtree(tmp_path / "ml-x")
    (tmp_path / "downloads" / "ml-x.zip").unlink()
    server.content = zipped({"ml-x/ratings.csv": b"other"})
    refused(tmp_path, "its sha256 is", "by ml-x.zip.sha256 (remove that if the change is meant)")
    assert left(tmp_path) == ["ml-x.zip.sha256"]
    (tmp_path / "downloads" / "ml-x.zip.sha256").unlink()
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == {"ratings.csv": b"other"}


def test_what_cannot_be_unpacked_is_not_trusted(server, dataset, tmp_path):
    dataset(b"<html>not found</html>", known=False)
    refused(tmp_path, "ml-x.zip: cannot be unpacked", "remove it and get it again")
    assert left(tmp_path) == ["ml-x.zip"], "no digest of it is kept"


def test_offline_the_address_and_the_place_are_told_at_once(server, dataset, tmp_path):
    file = dataset()
    server.shutdown()
    server.server_close()
    start = time.perf_counter()
    refused(tmp_path, "there is no connection", file.url, f"put it at {tmp_path / 'downloads' / 'ml-x.zip'}")
    assert time.perf_counter() - start < 5
    (tmp_path / "downloads" / "ml-x.zip").write_bytes(GOOD)  # by hand
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES


def test_a_wrong_archive_put_by_hand_is_refused_and_stays(server, dataset, tmp_path):
    dataset()
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "ml-x.zip").write_bytes(b"mine")
    refused(tmp_path, "downloads/ml-x.zip: its sha256".replace("/", os.sep), "remove it to download it")
    assert (tmp_path / "downloads" / "ml-x.zip").read_bytes() == b"mine"
    assert not server.asked


def test_nothing_of_the_users_is_replaced(server, dataset, tmp_path):
    dataset()
    (tmp_path / "ml-x" / "posters").mkdir(parents=True)
    get("x", tmp_path)
    assert [f.name for f in (tmp_path / "ml-x").iterdir()] == ["posters"]
    assert not server.asked


def test_a_full_disk(server, dataset, tmp_path, monkeypatch):
    dataset()
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(fetch.shutil, "disk_usage", lambda place: usage._replace(free=1000))
        refused(tmp_path, f"{len(GOOD):,} bytes are needed and 1,000 free; make room")
        assert left(tmp_path) == []

    class Full(io.FileIO):
        def write(self, piece):
            if self.tell() > 100_000:
                raise OSError(28, "No space left on device")
            return super().write(piece)

    with monkeypatch.context() as full:
        full.setattr(
            "builtins.open", lambda file, mode="r", **more: Full(file, mode) if "b" in mode else open(file)
        )
        refused(tmp_path, "No space left on device", "bytes are kept")
    assert left(tmp_path) == ["ml-x.zip.part"]
    get("x", tmp_path)
    assert content(tmp_path / "ml-x") == FILES
    assert server.asked[-1].startswith("bytes=1")


@pytest.mark.skipif(sys.platform == "win32", reason="no signal can be sent to a thread there")
def test_after_control_c_the_same_command_goes_on(server, dataset, tmp_path, capsys):
    dataset()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it

    def interrupt():
        time.sleep(0.2)  # until what was sent has been read
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        time.sleep(0.2)

    server.mood = [{"cut": 200_000, "then": interrupt}]
    assert main(["get", "x", "--data-dir", str(tmp_path)]) == 130
    signal.signal(signal.SIGINT, before)
    assert "the same command continues" in capsys.readouterr().err
    assert left(tmp_path) == ["ml-x.zip.part"]
    assert main(["get", "x", "--data-dir", str(tmp_path)]) == 0
    assert content(tmp_path / "ml-x") == FILES
    assert int(server.asked[1].strip("bytes=-")) > 100_000


TWICE = """
import sys
from helpers.data.fetch import CATALOGUE, Entry, File, get
from pathlib import Path
CATALOGUE["x"] = Entry("", "", (File(sys.argv[1], "ml-x", int(sys.argv[2]), sys.argv[3]),))
get("x", Path(sys.argv[4]))
"""


def test_two_processes_download_once(server, dataset, tmp_path):
    dataset()
    server.mood = [{"then": lambda: time.sleep(2)}]
    command = [sys.executable, "-c", TWICE, server.url, str(len(GOOD)), sha256(GOOD), str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(process.communicate(timeout=60)[0].splitlines()[-1] for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert told == [
        f"{tmp_path / 'ml-x'}: complete",
        f"{tmp_path / 'ml-x'}: is there; to get it anew, move it away",
    ]
    assert content(tmp_path / "ml-x") == FILES
    assert server.asked == [None]


def link_in_zip(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
ZEROS = b"\0" * 50_000_000
DANGEROUS = {
    "zip, above": ("a.zip", zipped({"x/../../evil": b"x"}), "no plain file below one folder"),
    "zip, absolute": ("a.zip", zipped({"/tmp/evil": b"x"}), "'/tmp/evil'"),
    "zip, a drive": ("a.zip", zipped({"C:/evil": b"x"}), "'C:/evil'"),
    "zip, backslashes": ("a.zip", zipped({"..\\evil": b"x"}), "no plain file"),
    "zip, a link": ("a.zip", zipped({link_in_zip("x/link"): b"/etc/passwd"}), "'x/link' is no plain file"),
    "zip, a bomb": ("a.zip", zipped({"x": ZEROS}), "unpacks to more than"),
    "zip, many bombs": ("a.zip", zipped({f"x/{k}": ZEROS[:2_000_000] for k in range(10)}), "unpacks to more"),
    "zip, cut": ("a.zip", GOOD[:-1000], "cannot be unpacked"),
    "zip, damaged": ("a.zip", GOOD[:1000] + b"?" * 1000 + GOOD[2000:], "cannot be unpacked"),
    "zip, no files": ("a.zip", zipped({}), "holds no files"),
    "zip, a file that is a folder too": ("a.zip", zipped({"x": b"1", "x/y": b"2"}), "cannot be unpacked"),
    "tar, above": ("a.tgz", tarred(("x/../../evil", b"x")), "'x/../../evil' is no plain file"),
    "tar, absolute": ("a.tgz", tarred(("/tmp/evil", b"x")), "'/tmp/evil' is no plain file"),
    "tar, a link out": ("a.tgz", tarred(("x", b""), type=LINK, linkname="/etc/passwd"), "no plain file"),
    "tar, a link in": ("a.tgz", tarred(("x", b""), type=LINK, linkname="y"), "no plain file"),
    "tar, a hard link": ("a.tgz", tarred(("x", b""), type=HARD, linkname="../../x"), "no plain file"),
    "tar, a device": ("a.tgz", tarred(("x", b""), type=tarfile.CHRTYPE, devmajor=1), "no plain file"),
    "tar, a pipe": ("a.tgz", tarred(("x", b""), type=tarfile.FIFOTYPE), "no plain file"),
    "tar, a bomb": ("a.tgz", tarred(("x", ZEROS)), "unpacks to more than"),
    "tar, cut": ("a.tgz", tarred(("x", NOISE))[:-100_000], "cannot be unpacked"),
    "tar, cut, uncompressed": ("a.tar", tarred(("x", NOISE), mode="w")[:200_000], "cannot be unpacked"),
    "tar, no files": ("a.tgz", tarred(), "holds no files"),
    "neither": ("a.tgz", b"Rar!\x1a\x07\x00", "cannot be unpacked"),
    "empty": ("a.zip", b"", "cannot be unpacked"),
}  # fmt: skip


@pytest.mark.parametrize("name", DANGEROUS)
def test_dangerous_and_damaged_archives(server, dataset, tmp_path, name):
    file, archive, fragment = DANGEROUS[name]
    folder = tmp_path / "a" / "b"
    dataset(archive, name=file, bytes=None)
    refused(folder, fragment, file)
    assert content(tmp_path) == {f"a/b/downloads/{file}": archive}
    assert not Path("/tmp/evil").exists()


def test_a_bomb_that_the_disk_could_not_hold(server, dataset, tmp_path, monkeypatch):
    dataset(zipped({"x/a": NOISE, "x/b": NOISE}))
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        fetch.shutil, "disk_usage", lambda place: usage._replace(free=len(NOISE) * 2 + 10_000)
    )
    monkeypatch.setattr(
        fetch, "members", lambda opened, real=fetch.members: ((n, s * 9, p, e) for n, s, p, e in real(opened))
    )
    refused(tmp_path, "are needed and")


def test_archives_of_one_folder_are_put_together_and_plain_files_moved(server, monkeypatch, tmp_path):
    """As VOC 2007: two archives with the same top, beside a list that is no archive."""

    class Many(Answer):
        def do_GET(self):
            self.server.content = parts[self.path]
            super().do_GET()

    parts = {
        "/a.tar": tarred(("VOC/Images/1.jpg", b"1"), mode="w"),
        "/b.tar": tarred(("VOC/Images/2.jpg", b"2"), mode="w"),
        "/list.txt": b"1\n2\n", "/c.zip": zipped({"__MACOSX/x": b"", "flat.txt": b"3", "more.txt": b"4"}),
    }  # fmt: skip
    server.RequestHandlerClass = Many
    base = server.url.removesuffix("/ml-x.zip")
    files = [File(f"{base}/a.tar", "VOC"), File(f"{base}/b.tar", "VOC"),
             File(f"{base}/list.txt", "VOC/lists/list.txt", unpack=False),
             File(f"{base}/c.zip", "VOC/flat")]  # fmt: skip
    monkeypatch.setitem(CATALOGUE, "x", Entry("", "", tuple(files)))
    get("x", tmp_path)
    assert content(tmp_path / "VOC") == {
        "Images/1.jpg": b"1", "Images/2.jpg": b"2", "lists/list.txt": b"1\n2\n", "flat/flat.txt": b"3",
        "flat/more.txt": b"4", "flat/__MACOSX/x": b"",
    }  # fmt: skip


def test_the_command(server, dataset, tmp_path, capsys, monkeypatch):
    dataset()
    assert main(["get", "--list"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in CATALOGUE)
    monkeypatch.setenv("CROWD_DATA", str(tmp_path / "mine"))
    assert main(["get", "x"]) == 0
    assert content(tmp_path / "mine" / "ml-x") == FILES


def test_the_catalogue_is_sound():
    for name, entry in CATALOGUE.items():
        assert entry.what
        assert entry.licence
        assert bool(entry.files) != bool(entry.ask), f"{name}: files, or where to ask"
        for file in entry.files:
            algorithm, _, digest = file.digest.partition(":")
            assert not file.digest or (algorithm, len(digest)) in {("sha256", 64), ("md5", 32)}
            assert file.url.startswith("https://") or not file.digest or "stanford" in file.url
            assert not Path(file.to).is_absolute()
            assert ".." not in Path(file.to).parts
    assert {"ml-latest-small", "ml-100k", "ml-1m", "ml-10m", "men", "freedict"} <= CATALOGUE.keys()
    assert not {n for n in BROUGHT.keys() - CATALOGUE.keys() if n not in ("wikipaintings", "ava_style")}


def test_addresses_are_those_that_torchvision_knows():
    from torchvision.datasets import SUN397, Flowers102
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    ours = {
        name: {file.url for file in CATALOGUE[name].files} for name in ("flowers102", "voc2007", "sun397")
    }
    named = Flowers102._file_dict.values()
    assert ours["flowers102"] == {f"{Flowers102._download_url_prefix}{file}" for file, _ in named}
    assert ours["voc2007"] == {DATASET_YEAR_DICT[year]["url"] for year in ("2007", "2007-test")}
    assert SUN397._DATASET_URL.partition("://")[2] in {url.partition("://")[2] for url in ours["sun397"]}
