"""The docs site: built without a warning, opened from its files in a browser without a request elsewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contracts.source import ROOT

PAGES = (
    "index",
    "tutorial",
    "how-to/compare",
    "explanation/loss-and-accuracy",
    "reference/commands/train",
    "reference/settings",
    "reference/python/runs",
    "labs/README",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site. A warning of Sphinx, such as a link that leads nowhere, is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", str(folder / "trees")]
    done = subprocess.run(
        [*command, "docs", str(folder / "html")], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "html"


def test_every_page_of_the_docs_is_in_the_site(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")]
    assert [str(page) for page in pages if not (site / page).is_file()] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_nothing_of_other_hosts_and_fits_a_phone(name: str, site: Path, open_file: Any) -> None:
    for width, dark in ((1400, False), (390, True)):
        opened = open_file(site / f"{name}.html", width, dark=dark)
        elsewhere = [url for url in opened.requests if not url.startswith(site.as_uri())]
        assert elsewhere == []
        assert opened.complaints == []
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_search_works_without_a_server(site: Path, open_file: Any) -> None:
    opened = open_file(site / "search.html")
    opened.page.goto(f"{(site / 'search.html').as_uri()}?q=replay")
    opened.page.wait_for_selector("#search-results li")
    assert "replay" in opened.page.inner_text("#search-results").lower()
    assert [url for url in opened.requests if not url.startswith(site.as_uri())] == []
