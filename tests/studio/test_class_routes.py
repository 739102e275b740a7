"""What guests may ask of the views Runs and Class, and what a hostile archive meets there."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from fittingroom.serving.gate import Gate, Security
from fittingroom.studio.application import create_studio
from fittingroom.studio.studio import Studio
from tests.studio.opened import asked

CHANGES = [
    ("PUT", "/api/runs/one/notes"),
    ("DELETE", "/api/runs/one"),
    ("POST", "/api/trash/one"),
    ("DELETE", "/api/trash"),
    ("POST", "/api/class/import"),
    ("POST", "/api/class/score"),
    ("GET", "/api/class/cost"),
    ("PUT", "/api/class/shown"),
    ("GET", "/api/runs/one/model-card"),  # which tells of looks at the test set
    ("GET", "/api/runs/one/data-card"),
]
OWNER, GUEST = ({"authorization": f"Bearer {letter * 22}"} for letter in "og")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gate:
    """A studio with an owner and a guest, without a server; one unreadable run is in its folder."""
    monkeypatch.setenv("FITTINGROOM_RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("FITTINGROOM_LEDGER", str(tmp_path / "ledger.sqlite"))
    (tmp_path / "runs" / "one").mkdir(parents=True)
    (tmp_path / "runs" / "one" / "run.json").write_text("{}")
    return create_studio(Studio(), Security(frozenset({"localhost"}), False, "o" * 22, guest="g" * 22, links=True))


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_guests_change_nothing_and_open_nothing(app: Gate, tmp_path: Path, method: str, path: str) -> None:
    reply = asked(app, method, path, GUEST, b"{}", query="called=a.zip&on=digits")
    assert (reply.status, reply.error["code"]) == (403, "owner_only")
    assert (tmp_path / "runs" / "one" / "run.json").exists()


def test_guests_see_the_table_and_the_board_without_anything_of_test_sets(app: Gate) -> None:
    (row,) = asked(app, "GET", "/api/runs-table", GUEST).json["rows"]
    assert (row["name"], row["status"], row["looks"], row["origin"]) == ("one", "unreadable", None, None)
    assert asked(app, "GET", "/api/runs-table", OWNER).json["rows"][0]["looks"] == 0
    board = asked(app, "GET", "/api/class", GUEST).json
    assert (board["boards"], board["tests"], board["shown_to_guests"]) == ([], [], False)
    assert board["left_out"][0]["run"] == "one"
    assert asked(app, "PUT", "/api/class/shown", {**OWNER, "content-type": "application/json"}, b'{"shown": true}').json
    assert asked(app, "GET", "/api/class", GUEST).json["shown_to_guests"] is True


def test_notes_and_deleting_by_a_page(app: Gate, tmp_path: Path) -> None:
    headers = {**OWNER, "content-type": "application/json"}
    told = asked(app, "PUT", "/api/runs/one/notes", headers, json.dumps({"title": "<b>x</b>", "tags": ["a"]}).encode())
    assert told.json == {"title": "<b>x</b>", "notes": "", "tags": ["a"]}
    for body in (b"{}", b'{"tags": [3]}', b'{"title": null}', b'{"title": "' + b"x" * 99 + b'"}', b"[]", b"nonsense"):
        assert asked(app, "PUT", "/api/runs/one/notes", headers, body).status in {400, 422}
    assert asked(app, "PUT", "/api/runs/..%2Fone/notes", headers, b'{"title": ""}').status == 404
    assert asked(app, "DELETE", "/api/runs/.trash", OWNER).status == 404
    assert asked(app, "DELETE", "/api/runs/one", OWNER).json == {"deleted": "one", "looks": 0}
    assert asked(app, "DELETE", "/api/runs/one", OWNER).status == 404
    assert asked(app, "GET", "/api/runs-table", OWNER).json["deleted"][0]["name"] == "one"
    assert asked(app, "GET", "/api/runs-table", GUEST).json["deleted"] == []
    assert asked(app, "POST", "/api/trash/one", OWNER).json == {"name": "one"}
    assert asked(app, "POST", "/api/trash/one", OWNER).status == 404
    assert (tmp_path / "runs" / "one" / "run.json").exists()


def test_a_hostile_archive_is_refused_in_a_sentence_and_leaves_nothing(app: Gate, tmp_path: Path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("../../outside/run.json", "{}")
    for body, said in ((content.getvalue(), "outside the folder"), (b"", "is empty"), (b"%PDF-1.7", "a PDF document")):
        reply = asked(app, "POST", "/api/class/import", OWNER, body, query="called=%3Cb%3E.zip")
        assert reply.status == 400
        assert said in reply.error["message"]
        assert "<b>.zip" in reply.error["message"]
    assert not (tmp_path / "outside").exists()
    left = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["run.json"]
    for on in ("", "/nothing/here", "npz:/etc/passwd"):
        assert asked(app, "GET", "/api/class/cost", OWNER, query=f"on={on}").status in {400, 404}
