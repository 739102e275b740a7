from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import struct
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from fittingroom.data.catalogue import FASHION_MNIST, FOUR_FILES, CatalogueEntry
from fittingroom.data.load import _catalogued
from fittingroom.data.published import _download
from fittingroom.errors import DatasetNotFoundError
from tests.data.builders import write_four_files


@dataclass
class Mirror:
    """A server on this machine: the files it has, how often it fails first, and what was asked."""

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    asked: list[str] = field(default_factory=list)


@contextlib.contextmanager
def serve(files: dict[str, bytes], failures: int = 0) -> Iterator[Mirror]:
    mirror = Mirror(files=files, failures=failures)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            mirror.asked.append(name)
            if mirror.failures > 0:
                mirror.failures -= 1
                self.send_error(503)
            elif name not in mirror.files:
                self.send_error(404)
            else:
                self.send_response(200)
                self.send_header("Content-Length", str(len(mirror.files[name])))
                self.end_headers()
                self.wfile.write(mirror.files[name])

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        mirror.address = f"http://127.0.0.1:{server.server_port}/"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield mirror
        finally:
            server.shutdown()


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in write_four_files(tmp_path / "published").values()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "downloads"
    path.mkdir()
    return path


def entry(files: dict[str, bytes], *mirrors: str) -> CatalogueEntry:
    """A dataset whose published files are these."""
    checksums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    return replace(FASHION_MNIST, mirrors=mirrors, info=replace(FASHION_MNIST.info, checksums=checksums))


def test_the_right_files_come_whole_and_are_not_asked_for_twice(files: dict[str, bytes], folder: Path) -> None:
    with serve(files) as mirror:
        paths = _download(entry(files, mirror.address), folder)
        assert {path.name: path.read_bytes() for path in paths.values()} == files
        assert list(paths) == [f"{name}.gz" for name in FOUR_FILES]
        _download(entry(files, mirror.address), folder)
        assert len(mirror.asked) == 4


def test_nothing_is_printed_when_standard_error_is_no_terminal(
    files: dict[str, bytes], folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with serve(files) as mirror:
        _download(entry(files, mirror.address), folder)
    assert capfd.readouterr() == ("", "")


def test_on_a_terminal_standard_error_shows_progress(
    files: dict[str, bytes], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with serve(files) as mirror:
        _download(entry(files, mirror.address), folder)
    assert "Downloading Fashion-MNIST" in terminal.getvalue()


def test_a_wrong_checksum_deletes_the_file_and_says_both(files: dict[str, bytes], folder: Path) -> None:
    name = "train-images-idx3-ubyte.gz"
    wrong = files | {name: b"<html>Please log in</html>"}
    expected, got = (hashlib.md5(content[name]).hexdigest() for content in (files, wrong))
    with (
        serve(wrong) as mirror,
        pytest.raises(DatasetNotFoundError, match=f"expected md5:{expected} but got {got}, so the file was deleted"),
    ):
        _download(entry(files, mirror.address), folder, pause=0)
    assert list(folder.iterdir()) == []


def test_a_damaged_earlier_download_is_fetched_again(files: dict[str, bytes], folder: Path) -> None:
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"half")
    with serve(files) as mirror:
        paths = _download(entry(files, mirror.address), folder)
    assert paths["t10k-labels-idx1-ubyte.gz"].read_bytes() == files["t10k-labels-idx1-ubyte.gz"]


def test_a_server_that_fails_twice_is_asked_a_third_time(files: dict[str, bytes], folder: Path) -> None:
    with serve(files, failures=2) as mirror:
        paths = _download(entry(files, mirror.address), folder, pause=0)
        assert len(mirror.asked) == 6
    assert all(path.is_file() for path in paths.values())


def test_another_mirror_is_asked_when_one_fails(files: dict[str, bytes], folder: Path) -> None:
    with serve({}) as empty, serve(files) as good:
        _download(entry(files, empty.address, good.address), folder, pause=0)
        assert len(empty.asked) == len(good.asked) == 4


def test_when_nothing_can_be_reached_every_mirror_has_its_reason(files: dict[str, bytes], folder: Path) -> None:
    with serve({}) as empty:
        closed = "http://127.0.0.1:9/"
        with pytest.raises(
            DatasetNotFoundError, match=f"{empty.address}: answered 404 Not Found; {closed}: no connection"
        ):
            _download(entry(files, empty.address, closed), folder, pause=0)


def test_a_dataset_is_loaded_by_download_and_then_without_the_network(files: dict[str, bytes]) -> None:
    with serve(files) as mirror:
        small = replace(entry(files, mirror.address), system_folder=None, classes=("a", "b", "c"))
        contents = _catalogued(small, None)
        assert contents.source == f"download from {mirror.address}"
        assert contents.notes == ()
        asked = len(mirror.asked)
    assert _catalogued(small, None).fingerprint == contents.fingerprint
    assert asked == 4


def test_a_dataset_is_downloaded_even_where_the_cache_cannot_be_written(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("FITTINGROOM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    with serve(files) as mirror:
        small = replace(entry(files, mirror.address), system_folder=None, classes=("a", "b", "c"))
        contents = _catalogued(small, None)
    assert len(contents.images) == 60
    assert any("could not be cached" in note for note in contents.notes)


def test_the_published_files_of_fashion_mnist_pass_with_their_real_checksums(
    fashion_mnist_folder: Path, folder: Path
) -> None:
    """Debian took name and time out of the gzip headers; with them put back the published checksums appear."""
    times = {"train": 1504176606, "t10k": 1504176627}
    published = {}
    for name in FOUR_FILES:
        packed = (fashion_mnist_folder / f"{name}.gz").read_bytes()
        header = (
            b"\x1f\x8b\x08\x08" + struct.pack("<I", times[name.split("-")[0]]) + packed[8:10] + name.encode() + b"\0"
        )
        published[f"{name}.gz"] = header + packed[10:]
    with serve(published) as mirror:
        paths = _download(replace(FASHION_MNIST, mirrors=(mirror.address,)), folder)
    assert {
        path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in paths.values()
    } == FASHION_MNIST.info.checksums
