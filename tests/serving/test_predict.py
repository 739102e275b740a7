"""What a server answers to what it is made for."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

import fittingroom
from tests.browser.conftest import CHROMIUM
from tests.photos.drawing import photo
from tests.serving.serving import Reply, Serving, multipart, png


@pytest.fixture(scope="module")
def images() -> np.ndarray[Any, Any]:
    """Digits, `(20, 8, 8)` in 0 to 16."""
    return np.asarray(fittingroom.load("digits").train.images[:20])


@pytest.fixture(scope="module")
def expected(digits_run: Path, images: np.ndarray[Any, Any]) -> Any:
    return fittingroom.open_run(digits_run).answer(images)


def pictures(images: np.ndarray[Any, Any]) -> list[bytes]:
    """Digits as grey pictures, 0 to 255."""
    return [png(np.rint(image * (255 / 16)).astype(np.uint8)) for image in images]


def assert_same(reply: Reply, expected: Any) -> None:
    assert reply.status == 200
    rows = reply.json["predictions"]
    assert [row["index"] for row in rows] == list(range(len(expected)))
    for row, answer in zip(rows, expected, strict=True):
        assert (row["class"], row["set"], row["unlike"], row["why"]) == (
            answer.label,
            list(answer.set),
            answer.unlike,
            answer.why,
        )
        np.testing.assert_allclose(row["probabilities"], answer.probabilities, atol=1e-5)
        assert row["probability"] == pytest.approx(answer.probability, abs=1e-5)


def test_a_picture_as_the_body(server: Serving, images: np.ndarray[Any, Any], expected: Any) -> None:
    for picture, answer in zip(pictures(images[:3]), expected, strict=False):
        assert_same(server.predict(picture), [answer])


def test_several_pictures_as_multipart(server: Serving, images: np.ndarray[Any, Any], expected: Any) -> None:
    body, kind = multipart(*((f"{number}.png", one) for number, one in enumerate(pictures(images))))
    reply = server.predict(body, kind)
    assert_same(reply, expected)
    assert [row["file"] for row in reply.json["predictions"]] == [f"{number}.png" for number in range(20)]


def test_numbers_as_json_one_image_or_several(server: Serving, images: np.ndarray[Any, Any], expected: Any) -> None:
    assert_same(server.numbers(images[0].tolist()), expected[:1])
    assert_same(server.numbers(images.tolist()), expected)


def test_scaled_numbers_are_taken_as_such_and_that_is_said(
    server: Serving, images: np.ndarray[Any, Any], expected: Any
) -> None:
    reply = server.numbers((images[:2] / 16).tolist())
    assert_same(reply, expected[:2])
    assert "were taken as 0-1" in reply.json["predictions"][0]["notes"][0]


@pytest.mark.parametrize("form", ["JPEG", "WEBP", "BMP", "GIF"])
def test_every_accepted_format(server: Serving, images: np.ndarray[Any, Any], form: str) -> None:
    picture = png(np.rint(images[0] * (255 / 16)).astype(np.uint8), form)
    assert server.predict(picture, f"image/{form.lower()}").status == 200


def test_batched_and_single_answers_are_equal(server: Serving, images: np.ndarray[Any, Any], expected: Any) -> None:
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(server.predict, pictures(images) * 10))
    for reply, answer in zip(replies, list(expected) * 10, strict=True):
        assert_same(reply, [answer])
    batches = re.findall(r'fittingroom_batch_images_bucket\{le="1.0"\} (\S+)', server.get("/metrics").body.decode())
    count = re.findall(r"fittingroom_batch_images_count (\S+)", server.get("/metrics").body.decode())
    assert float(batches[0]) < float(count[0])  # some went together


def test_a_photo_is_cut_out_and_its_steps_are_listed(server: Serving) -> None:
    drawn = BytesIO()
    photo()[0].save(drawn, "JPEG")
    (row,) = server.predict(drawn.getvalue(), "image/jpeg").json["predictions"]
    assert [step["name"] for step in row["steps"]][:2] == ["photo", "foreground"]
    assert all(set(step) == {"name", "note"} for step in row["steps"])
    (row,) = server.predict(drawn.getvalue(), "image/jpeg", "?steps=pictures").json["predictions"]
    kind, _, data = row["steps"][-1]["picture"].partition(",")
    assert kind == "data:image/png;base64"
    with Image.open(BytesIO(base64.b64decode(data))) as shown:
        assert shown.size == (8, 8)


def rotated() -> bytes:
    tags = Image.Exif()
    tags[0x0112] = 6
    return png(np.tile(np.arange(60, dtype=np.uint8) * 4, (40, 1)), "JPEG", exif=tags)


def animation() -> bytes:
    frames = [Image.new("L", (40, 40), shade) for shade in (0, 100, 200)]
    stream = BytesIO()
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


def cmyk() -> bytes:
    stream = BytesIO()
    Image.new("CMYK", (40, 40), (10, 200, 30, 0)).save(stream, "JPEG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("make", "kind", "note"),
    [
        (rotated, "image/jpeg", "turned upright"),
        (animation, "image/gif", "its first frame is used"),
        (cmyk, "image/jpeg", "converted from CMYK"),
        (lambda: png(np.full((40, 40), 40_000, np.uint16)), "image/png", "from 16 bits to 8"),
        (lambda: png(np.full((40, 40, 4), 120, np.uint8)), "image/png", "laid on white"),
    ],
    ids=["turned by EXIF", "animation", "CMYK", "16 bits", "transparent"],
)
def test_what_was_changed_is_said(server: Serving, make: Callable[[], bytes], kind: str, note: str) -> None:
    (row,) = server.predict(make(), kind).json["predictions"]
    assert note in " ".join(row["notes"])


def test_the_card_has_scores_with_their_looks(server: Serving) -> None:
    facts = server.get("/v1/model").json
    assert facts["version"] == server.get("/healthz").json["model"]
    assert facts["recipe"]["name"] == "course"
    assert (facts["classes"], facts["image_shape"]) == ([str(digit) for digit in range(10)], [8, 8])
    (seed,) = facts["per_seed"]
    assert seed["validation"]["accuracy"] > 0.5
    assert (seed["test"]["look"], seed["test"]["looks"]) == (1, 1)
    assert "selection bias" in seed["test"]["luck"]
    assert len(facts["limits"]["meaning"]) == 4
    card = server.get(facts["model_card"])
    assert card.headers["content-type"] == "text/markdown; charset=utf-8"
    assert "(95% interval) | key |\n" in card.body.decode()


def test_metrics_count(server: Serving, images: np.ndarray[Any, Any]) -> None:
    def counted() -> dict[str, float]:
        lines = server.get("/metrics").body.decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[0] != "#"}

    before = counted()
    server.predict(pictures(images)[0])
    server.predict(png(np.random.default_rng(0).integers(0, 255, (8, 8), np.uint8)))
    server.predict(b"nothing")
    after = counted()

    def more(name: str) -> float:
        return after[name] - before.get(name, 0.0)

    assert more('fittingroom_requests_total{path="/v1/predict",status="200"}') == 2
    assert more('fittingroom_requests_total{path="/v1/predict",status="422"}') == 1
    assert more('fittingroom_answers_total{verdict="unlike"}') >= 1
    assert more('fittingroom_request_seconds_count{path="/v1/predict"}') == 3
    assert more("fittingroom_batch_images_sum") == 2
    assert after["fittingroom_images_waiting"] == 0


def test_the_pages_run_no_foreign_script_and_load_nothing_from_elsewhere(server: Serving) -> None:
    for path in ("/", "/docs"):
        page = server.get(path)
        assert page.status == 200
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]
        assert not re.search(rb"(src|href)=.(https?:)?//", page.body)
    assert b"<script" not in server.get("/docs").body
    assert b"/v1/predict" in server.get("/docs").body
    first = server.get("/").body
    assert re.findall(rb"<script[^>]*>([^<]*)</script>", first) == [b""]  # one module, and nothing in the page itself
    for address in re.findall(rb'(?:src|href)="(/assets/[^"]+)"', first):
        assert server.get(address.decode()).status == 200


def test_the_examples_name_the_address_that_the_page_was_asked_at(server: Serving) -> None:
    for host in (f"127.0.0.1:{server.port}", "LOCALHOST:8080", "[::1]:9"):
        page = server.get("/docs", Host=host).body.decode()
        assert f"--data-binary @photo.jpg http://{host}/v1/predict" in page
        assert page.count(f"http://{host}/v1/predict") == 3


def test_the_document_describes_every_route(server: Serving) -> None:
    document = server.get("/openapi.json").json
    assert set(document["paths"]) == {
        "/v1/predict",
        "/v1/model",
        "/v1/card",
        "/v1/drift",
        "/healthz",
        "/metrics",
    }
    assert set(document["paths"]["/v1/predict"]["post"]["requestBody"]["content"]) >= {"image/png", "application/json"}


@pytest.mark.slow
def test_the_page_works_in_a_browser_and_asks_nobody_else(server: Serving, tmp_path: Path) -> None:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here")
    photo()[0].save(tmp_path / "x.jpg")
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto(f"{server.url}/docs")
        page.get_by_role("link", name="Try it").click()
        page.get_by_role("button", name="Photo", exact=True).click()
        page.locator("input[type=file]").first.set_input_files(tmp_path / "x.jpg")
        page.wait_for_selector(".after-answer:not([hidden])")
        pictures, text = page.locator(".steps img").count(), page.inner_text("main")
        browser.close()
    assert pictures > 5
    assert "base64" not in text
    assert all(url.startswith(server.url) for url in asked)
    assert [text for text in complaints if "favicon" not in text] == []
