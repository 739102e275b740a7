from __future__ import annotations

import errno
import io
import signal
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fittingroom.data.archive import Limits, unpack
from fittingroom.errors import DataError, StorageError


def zipped(path: Path, files: dict[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive with these members, whatever their names are."""
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in files.items():
            archive.writestr(member(name), content, packing)
    return path


def member(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("x")
    info.filename = name
    info.external_attr = mode << 16
    return info


def everything_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(tmp_path: Path, archive: Path, limits: Limits | None = None) -> str:
    """The sentence with which an archive is refused; nothing may lie around afterwards."""
    place = tmp_path / "place"
    place.mkdir(exist_ok=True)
    before = everything_below(tmp_path)
    with pytest.raises(DataError) as refused:
        unpack(archive, place / "out", limits=limits)
    assert everything_below(tmp_path) == before
    assert list(place.iterdir()) == []
    sentence = str(refused.value)
    assert sentence.isprintable()
    assert len(sentence) < 400
    return sentence


segment = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters='/\\:<>"|?*'), min_size=1, max_size=12
)
whole_names = st.lists(segment.filter(lambda name: name != "."), min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(whole_names, st.binary(max_size=300), min_size=1, max_size=6), st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_ordinary_programs_pack_comes_out_as_it_went_in(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes], packed: bool
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    archive = zipped(folder / "a.zip", files, zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED)
    try:
        found = unpack(archive, folder / "out")
    except DataError:  # names that clash or lead out, or no file at all
        assert sorted(path.name for path in folder.iterdir()) == ["a.zip"]
        return
    out = everything_below(folder / "out")
    assert set(out.items()) <= set(files.items())
    assert (len(out), sum(map(len, out.values()))) == (found.files, found.size)
    assert len(out) == len(files) or found.notes


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_damage_does_anything_but_unpack_or_refuse(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    content = bytearray(
        zipped(folder / "a.zip", {"cat/1.png": b"1" * 400, "dog/2.png": bytes(range(256))}).read_bytes()
    )
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[at] = data.draw(st.integers(0, 255))
    (folder / "a.zip").write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        unpack(folder / "a.zip", folder / "out")
    except DataError:
        assert sorted(path.name for path in folder.iterdir()) == ["a.zip"]
    assert {path.name for path in folder.iterdir()} <= {"a.zip", "out"}
    assert not any(path.is_symlink() for path in folder.rglob("*"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../outside.txt", "outside the folder"),
        ("cat/../../outside.txt", "outside the folder"),
        ("cat\\..\\..\\outside.txt", "outside the folder"),
        ("/tmp/outside.txt", "outside the folder"),
        ("C:\\outside.txt", "outside the folder"),
        ("C:outside.txt", "outside the folder"),
        ("\\\\server\\share\\outside.txt", "outside the folder"),
        ("cat\0.png", "characters that names cannot have"),
        ("cat\n.png", "characters that names cannot have"),
        ("\x1b[2J.png", "characters that names cannot have"),
        ("a" * 256, "too long a name"),
        ("/".join("abcdefghijklmnopqrstuvwxyz"), "too deep in folders"),
    ],
)
def test_a_name_that_no_file_below_the_folder_can_have_is_refused(tmp_path: Path, name: str, said: str) -> None:
    assert said in refusal(tmp_path, zipped(tmp_path / "a.zip", {"ordinary.txt": b"1", name: b"2"}))
    assert not any(path.exists() for path in (tmp_path / "outside.txt", Path("/tmp/outside.txt")))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Cat/1.png", "cat/2.png"], "one name on many systems"),
        (["caf\u00e9/1.png", "cafe\u0301/2.png"], "one name on many systems"),
        (["cat", "cat/1.png"], "as a file and as a folder"),
        (["cat/", "cat"], "as a file and as a folder"),
        (["cat/1.png", "cat//1.png"], "two files called"),
        (["cat/1.png", "cat\\1.png"], "two files called"),
    ],
)
def test_names_that_clash_are_refused(tmp_path: Path, names: list[str], said: str) -> None:
    assert said in refusal(tmp_path, zipped(tmp_path / "a.zip", dict.fromkeys(names, b"")))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_stands_in_it_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.png", b"1")
        archive.writestr("1.png", b"2")
    assert "two files called '1.png'" in refusal(tmp_path, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (stat.S_IFLNK, "a link, which may lead anywhere"),
        (stat.S_IFIFO, "neither a file nor a folder"),
        (stat.S_IFCHR, "neither a file nor a folder"),
        (stat.S_IFSOCK, "neither a file nor a folder"),
    ],
)
def test_anything_but_files_and_folders_is_refused(tmp_path: Path, kind: int, said: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member("passwords", kind | 0o777), "/etc/passwd")
        archive.writestr("passwords/x", b"")
    assert said in refusal(tmp_path, tmp_path / "a.zip")


def bomb(path: Path) -> Path:
    """80 MB of zeros in 80 kB."""
    return zipped(path, {f"{number}.bmp": bytes(10_000_000) for number in range(8)})


def lying_bomb(path: Path) -> Path:
    """The same, where the directory declares a byte for each file."""
    content = bytearray(bomb(path).read_bytes())
    for signature, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        found = content.find(signature)
        while found >= 0:
            content[found + at : found + at + 4] = (1).to_bytes(4, "little")
            found = content.find(signature, found + 1)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("build", "limits", "said"),
    [
        (bomb, None, "more than 100 times that, as only archives made to fill a disk do"),
        (bomb, Limits(total=50_000_000, ratio=10_000), "unpacks to more than 47.7 MB"),
        (lying_bomb, None, "cut off or damaged at '0.bmp'"),
        (lambda path: zipped(path, {f"{n}/": b"" for n in range(9)}), Limits(files=8), "more than 8 files and folders"),
        (lambda path: zipped(path, {"a/b/c/d/e": b""}), Limits(files=4), "more than 4 files and folders"),
    ],
)
def test_more_than_fits_is_refused(
    tmp_path: Path, build: Callable[[Path], Path], limits: Limits | None, said: str
) -> None:
    assert said in refusal(tmp_path, build(tmp_path / "a.zip"), limits)


def test_a_hundred_thousand_files_are_refused_before_an_object_is_made_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = zipped(tmp_path / "one.zip", {"1": b""}).read_bytes()
    start, end = entry.find(b"PK\x01\x02"), entry.find(b"PK\x05\x06")
    directory = entry[start:end] * 100_000
    record = bytearray(entry[end:])
    record[8:12] = b"\xff\xff\xff\xff"
    record[12:16] = len(directory).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(entry[:start] + directory + record)
    made = 0

    class Counted(zipfile.ZipInfo):
        def __init__(self, *arguments: object) -> None:
            nonlocal made
            made += 1
            super().__init__(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(zipfile, "ZipInfo", Counted)
    assert "more than 80,000 files and folders" in refusal(tmp_path, tmp_path / "a.zip")
    assert made == 0


def test_a_locked_archive_and_unusual_packing_are_refused(tmp_path: Path) -> None:
    for packing, way in ((zipfile.ZIP_LZMA, "lzma"), (zipfile.ZIP_BZIP2, "bzip2")):
        assert f"is packed by {way}" in refusal(tmp_path, zipped(tmp_path / f"{way}.zip", {"1": b"1"}, packing))
    content = bytearray(zipped(tmp_path / "a.zip", {"1": b"1"}).read_bytes())
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert "a.zip is locked with a password" in refusal(tmp_path, tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not a ZIP archive: it is empty"),
        (b"%PDF-1.7 ", "is not a ZIP archive: it looks like a PDF document"),
        (b"Rar!\x1a\x07\x00", "is not a ZIP archive: it looks like a RAR archive"),
        (b"PK\x05\x06" + bytes(18), "has no files in it"),
        (b"PK\x03\x04" + bytes(100), "is cut off or damaged"),
    ],
)
def test_what_is_no_archive_is_called_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    assert f"a.zip {said}" in refusal(tmp_path, tmp_path / "a.zip")
    with pytest.raises(DataError, match="cannot read"):
        unpack(tmp_path, tmp_path / "out")


def test_what_systems_add_is_left_out_and_said(tmp_path: Path) -> None:
    archive = zipped(
        tmp_path / "a.zip",
        {"cat/1.png": b"1", "__MACOSX/cat/._1.png": b"x", "cat/.DS_Store": b"x", "Thumbs.db": b"x", "in.zip": b"PK"},
    )
    found = unpack(archive, tmp_path / "out", called="animals.zip")
    assert everything_below(found.folder) == {"cat/1.png": b"1", "in.zip": b"PK"}
    assert found.notes == (
        "Left out of animals.zip: 3 files that a system adds (.DS_Store, Thumbs.db and __MACOSX).",
        "Not unpacked: 1 archive inside animals.zip (in.zip).",
    )


def test_names_of_other_systems_are_read_as_they_were_meant(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"M\u00f6wen\\1.png": b"1"})
    content = bytearray(path.read_bytes())  # UTF-8 without the flag for it, as Finder wrote it
    content[7] &= ~8
    content[content.find(b"PK\x01\x02") + 9] &= ~8
    path.write_bytes(content)
    found = unpack(path, tmp_path / "out")
    assert everything_below(found.folder) == {"M\u00f6wen/1.png": b"1"}
    assert found.notes == ("a.zip separates folders by backslashes, as old programs for Windows do.",)


def test_rights_are_not_taken_over_and_empty_folders_are(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(member("run.sh", stat.S_IFREG | 0o6777), b"")
        for name in ("empty/", "./", ".", "empty/."):
            archive.writestr(member(name, stat.S_IFDIR | 0o755), b"")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert (tmp_path / "out" / "run.sh").stat().st_mode & 0o7111 == 0
    assert (tmp_path / "out" / "empty").is_dir()


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", {"1": b"1"})
    (tmp_path / "out").mkdir()
    with pytest.raises(StorageError, match="exists already"):
        unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


class FullDisk(io.FileIO):
    def write(self, content: object, /) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def full_disk(path: Path, mode: str) -> io.FileIO:
    return FullDisk(path, mode)


class NearlyFullDisk:
    free = 1000


def test_a_full_disk_and_ctrl_c_leave_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = zipped(tmp_path / "a.zip", {"1": b"1" * 1000, "2": b"2"})

    def interrupt(done: int, of: int) -> None:
        assert (done, of) == (1, 2)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(archive, tmp_path / "out", advanced=interrupt)
    assert list(tmp_path.iterdir()) == [archive]
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", full_disk)
        with pytest.raises(StorageError, match="the disk is full"):
            unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda path: NearlyFullDisk())
        with pytest.raises(StorageError, match=r"the files take 0\.0 MB, and 0\.0 MB are free"):
            unpack(archive, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [archive]


KILLED = """
import os, signal, sys
from pathlib import Path
from fittingroom.data.archive import unpack
unpack(Path(sys.argv[1]), Path(sys.argv[2]), advanced=lambda done, of: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_what_a_killed_process_left_goes_with_the_next_archive(tmp_path: Path) -> None:
    archive, place = zipped(tmp_path / "a.zip", {"1": b"1", "2": b"2"}), tmp_path / "place"
    place.mkdir()
    done = subprocess.run([sys.executable, "-c", KILLED, str(archive), str(place / "out")], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [path.name.startswith(".unpacking-") for path in place.iterdir()] == [True]
    seen = []
    unpack(archive, place / "first", advanced=lambda done, of: seen.append(unpack(archive, place / f"other{done}")))
    assert sorted(path.name for path in place.iterdir()) == ["first", "other1", "other2"]
    assert len(seen) == 2  # which did not remove what the first was writing
