"""The studio's frame in a real browser: the way between views, the states, and what happens to the connection."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Response, expect

import fittingroom
from fittingroom.studio.frame_routes import VIEWS
from tests.browser.conftest import Visit
from tests.serving.serving import Serving
from tests.studio.opened import studio, tokens

# In place of a view of the studio: what a view may use, each with a button.
VIEW = """
export const aboutOneRun = true;
export async function show(app, query) {
  if (query.fails) throw new Error("3 images arrived. Give 10.");
  const run = app.run(query);
  app.command(`fittingroom explain ${run}`, ["import fittingroom as fr", `fr.open_run("${run}")`]);
  app.status("training, epoch 3 of 5, 4 s left", "busy");
  const said = app.element("p", { id: "said" }, `epoch ${query.epoch ?? 0}`);
  const button = (text, act) => app.element("button", { onclick: app.act(act) }, text);
  const ask = async () => await app.post("/api/nothing", {});
  if (query.slow) {
    app.loading("Reading images", 1200, 5000);
    await new Promise((done) => setTimeout(done, 1500));
  }
  app.main.append(said, button("Next epoch", () => app.go({ epoch: "4" })), button("Ask in vain", ask),
    button("Drag", () => app.go({ epoch: "9" }, { replace: true })));
  let seen = 0;
  app.events({ runs: () => (document.title = `seen ${++seen}`) });
  return { update: (now) => (said.textContent = `epoch ${now.epoch ?? 0} of ${app.run(now)}`) };
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs, one of them with a name that is no name for HTML."""
    place = tmp_path_factory.mktemp("frame")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FITTINGROOM_LEDGER", str(place / "ledger.sqlite"))
        run = fittingroom.train("digits", "linear", out=place / "runs" / "one")
    shutil.copytree(run.path, place / "runs" / "two <img src=x onerror=alert(1)>")
    return place / "runs"


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Serving]:
    """A studio of that folder."""
    with studio(folder) as running:
        yield running


def test_an_empty_studio_says_in_every_view_what_to_do(visit: Visit, tmp_path: Path) -> None:
    with studio(tmp_path / "runs") as server:
        check_empty(visit, server, 1400)
        check_empty(visit, server, 390, dark=True)
        check_empty(visit, server, 360)


def check_empty(visit: Visit, server: Serving, width: int, *, dark: bool = False) -> None:
    opened = visit(server.url, width, 800, dark=dark)
    page = opened.page
    expect(page).to_have_url(f"{server.url}/train")
    for view in VIEWS:
        page.locator(f'nav a[href^="/{view}"]').click()
        expect(page.locator("nav a[aria-current]")).to_have_text(view.capitalize())
        expect(page.locator("main *").first).to_be_visible()
        assert page.title() == f"{view.capitalize()} – Fitting Room"
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, view
        assert page.locator("#command").inner_text().strip().startswith("fittingroom"), view
        assert page.locator("button.main:visible, a.main:visible").count() <= 1, view  # one thing to press next
    assert opened.requests == opened.complaints == opened.dialogs == []


def test_a_view_is_restored_by_its_address_and_changes_by_back_forward_and_the_chooser(
    visit: Visit, server: Serving
) -> None:
    opened = visit(f"{server.url}/runs")
    page = opened.page
    page.route("**/labs.js", lambda route: route.fulfill(body=VIEW, content_type="text/javascript"))
    page.goto(f"{server.url}/labs?epoch=3&run=one")
    expect(page.locator("#said")).to_have_text("epoch 3")
    expect(page.locator("#run")).to_have_value("one")
    expect(page.locator("#status")).to_have_class("busy")
    page.get_by_role("button", name="Next epoch").click()
    expect(page.locator("#said")).to_have_text("epoch 4 of one")
    page.get_by_role("button", name="Drag").click()
    expect(page).to_have_url(f"{server.url}/labs?epoch=9&run=one")
    page.go_back()
    expect(page.locator("#said")).to_have_text("epoch 3 of one")
    page.go_forward()
    expect(page.locator("#said")).to_have_text("epoch 9 of one")
    page.locator("#run").select_option("two <img src=x onerror=alert(1)>")
    expect(page.locator("#said")).to_have_text("epoch 9 of two <img src=x onerror=alert(1)>")
    page.locator('nav a[href^="/test"]').click()
    expect(page.locator("#run")).to_have_value("two <img src=x onerror=alert(1)>")  # the run stays from view to view
    page.go_back()
    expect(page.locator("#said")).to_have_text("epoch 9")
    assert opened.requests == opened.complaints == opened.dialogs == []


def test_loading_counts_failures_are_said_in_place_and_the_command_can_be_copied(visit: Visit, server: Serving) -> None:
    page = visit(f"{server.url}/runs").page
    page.route("**/labs.js", lambda route: route.fulfill(body=VIEW, content_type="text/javascript"))
    page.goto(f"{server.url}/labs?slow=1&run=one")
    expect(page.locator(".loading")).to_have_text("Reading images: 1,200 of 5,000")
    expect(page.locator("#said")).to_be_visible()
    expect(page.locator(".loading")).to_have_count(0)
    page.get_by_role("button", name="Ask in vain").click()
    expect(page.locator("#failure")).to_contain_text("POST /api/nothing does not exist.")
    page.locator("#failure button").click()
    expect(page.locator("#failure")).to_be_hidden()
    page.locator("#copy").click()
    expect(page.locator("#copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "fittingroom explain one"
    page.locator("#python").press("Enter")
    expect(page.locator("#command")).to_have_text('import fittingroom as fr\nfr.open_run("one")')
    page.goto(f"{server.url}/labs?fails=1")
    expect(page.get_by_role("alert").filter(has_text="This did not work")).to_contain_text("3 images arrived. Give 10.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()


def test_everything_of_the_frame_is_reached_by_keyboard(visit: Visit, server: Serving) -> None:
    page = visit(f"{server.url}/train").page
    expect(page.locator("main *").first).to_be_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the view"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "view"
    page.locator('nav a[href^="/runs"]').focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{server.url}/runs")
    expect(page.locator("nav a[aria-current]")).to_have_text("Runs")
    expect(page.locator("#view")).to_be_focused()


def test_two_browsers_see_the_same_and_a_lost_connection_is_said_and_catches_up(
    visit: Visit, folder: Path, server: Serving, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "runs")
    with studio(tmp_path / "runs") as first:
        pages = [visit(f"{first.url}/test").page for _ in range(2)]
        for page in pages:
            expect(page.locator("#run option")).to_have_count(2)
        shutil.copytree(folder / "one", tmp_path / "runs" / "three")
        for page in pages:
            expect(page.locator("#run option")).to_have_count(3)
        port = first.port
    for page in pages:
        expect(page.locator("#connection")).to_contain_text("Connection lost: what is shown is of ")
    shutil.rmtree(tmp_path / "runs" / "three")
    with studio(tmp_path / "runs", "--port", str(port)):
        for page in pages:
            expect(page.locator("#connection")).to_be_hidden()
            expect(page.locator("#run option")).to_have_count(2)


class Elsewhere(BaseHTTPRequestHandler):
    """A page of another site with a link to ours, and one that listens to our events."""

    link = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        origin = self.link.split("/enter")[0]
        script = (
            f"<script>s = new EventSource('{origin}/api/events'); s.onopen = () => document.title = 'heard'</script>"
        )
        self.wfile.write(f'<title>quiet</title><a href="{self.link}">open</a>{script}'.encode())

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_the_link_for_others_works_by_a_click_elsewhere_and_is_read_only(visit: Visit, folder: Path) -> None:
    with studio(folder, "--host", "0.0.0.0") as server:
        owners, guests = tokens(server)
        opened = visit(f"{server.url}/train")
        page = opened.page
        expect(page.locator("body")).to_contain_text("Open the link that was printed")
        other = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        try:
            page.unroute_all()
            for token, role in ((guests, "guest"), (owners, "owner")):
                Elsewhere.link = f"{server.url}/enter/{token}"
                page.goto(f"http://localhost:{other.server_port}/")  # another site than 127.0.0.1
                page.get_by_text("open").click()
                expect(page).to_have_url(f"{server.url}/train")
                expect(page.locator("main *").first).to_be_visible()
                assert page.evaluate("fetch('/api/frame').then((answer) => answer.json())")["role"] == role
                assert page.evaluate("document.cookie") == ""
                expect(page.locator("#role")).to_be_visible(visible=role == "guest")
            page.goto(f"http://localhost:{other.server_port}/")
            page.wait_for_timeout(500)
            assert page.title() == "quiet"
            Elsewhere.link = f"{server.url}/understand?run=one"
            page.goto(f"http://localhost:{other.server_port}/")
            page.get_by_text("open").click()
            expect(page.locator("nav a[aria-current]")).to_have_text("Understand")
            assert page.url == f"{server.url}/understand?run=one"
        finally:
            other.shutdown()
            other.server_close()


def test_a_page_is_small(server: Serving, visit: Visit) -> None:
    page = visit(f"{server.url}/runs").page
    sizes: dict[str, int] = {}  # by address: what has come once is kept

    def note(answer: Response) -> None:
        if "/api/" not in answer.url:
            sizes[answer.url.split("?")[0]] = len(answer.body())

    page.on("response", note)
    for view in VIEWS:
        page.goto(f"{server.url}/{view}")
        expect(page.locator("main *").first).to_be_visible()
    page.wait_for_load_state("load")
    assert len(sizes) > 20
    assert sum(sizes.values()) < 500_000  # of all views together
