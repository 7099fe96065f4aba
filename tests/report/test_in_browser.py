"""The page in a real browser: it opens without errors, hovering and the keyboard work, and axe finds nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from nas.search.run_directory import read_trials
from tests.report.conftest import invoke

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed; .ci/run installs Debian's"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="playwright is not installed"),
]
WIDTHS = (1280, 360)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(params=WIDTHS)
def opened(request: pytest.FixtureRequest, browser: Any, predicted_run: Path) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": request.param, "height": 800})
    page.told = []
    page.on("console", lambda message: page.told.append(message.text))
    page.on("pageerror", lambda error: page.told.append(str(error)))
    page.on("request", lambda sent: None if sent.url.startswith(("file:", "data:")) else page.told.append(sent.url))
    page.goto(f"file://{predicted_run}/report.html")
    yield page
    assert page.told == []
    page.close()


def test_nothing_is_wider_than_the_screen(opened: Any) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") <= opened.viewport_size["width"]


def test_hovering_shows_the_stage_table(opened: Any, predicted_run: Path) -> None:
    result = json.loads((predicted_run / "result.json").read_text())
    opened.locator("#figure-front").scroll_into_view_if_needed()
    box = opened.locator('[id="front-baseline"] use').first.bounding_box()
    opened.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    text = opened.locator("#tip").inner_text()
    assert f"Trial {result['number']}:" in text and "stage7" in text and "expand" in text
    corner = opened.locator("#tip").bounding_box()
    assert corner["x"] >= 0 and corner["x"] + corner["width"] <= opened.viewport_size["width"]
    opened.mouse.move(1, 1)
    assert not opened.locator("#tip").is_visible()


def test_the_keyboard_goes_from_network_to_network(opened: Any, predicted_run: Path) -> None:
    numbers = {trial.number for trial in read_trials(predicted_run)}
    opened.locator("#figure-front .plot").focus()
    seen = []
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
        seen.append(int(opened.locator("#tip strong").inner_text().removeprefix("Trial ")))
    assert set(seen) <= numbers
    opened.keyboard.press("Escape")
    assert not opened.locator("#tip").is_visible()


def test_the_pages_style_is_used(opened: Any) -> None:
    assert "system-ui" in opened.evaluate("getComputedStyle(document.body).fontFamily")


def test_it_is_accessible(opened: Any) -> None:
    axe = find_spec("axe_playwright_python")
    if axe is None or axe.origin is None:
        pytest.skip("axe-playwright-python is not installed")
    opened.evaluate((Path(axe.origin).parent / "axe.min.js").read_text())
    found = opened.evaluate("axe.run()")["violations"]
    assert [(one["id"], one["nodes"][0]["html"]) for one in found] == []


def test_failing_runs_open_without_errors(browser: Any, failing_run: Path) -> None:
    page, told = browser.new_page(), []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: told.append(dialog.message))
    page.goto(f"file://{failing_run}/report.html")
    assert page.locator("#figure-progress").is_visible() and told == []
    page.close()


def test_two_thousand_trials_are_no_larger_than_they_may_be(browser: Any, tmp_path: Path) -> None:
    invoke("search", "--target-flops", "400M", "--trials", "2000", "--out", str(tmp_path / "run"))
    file = tmp_path / "run" / "report.html"
    assert file.stat().st_size <= 5e6
    page = browser.new_page()
    page.goto(f"file://{file}")
    assert page.locator('[id="progress-rewards"] use').count() == 1960  # the worst 2% are below the picture
    page.close()
