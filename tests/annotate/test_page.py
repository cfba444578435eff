"""The page in a browser: what an annotator does, from the first box to the export."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.annotate.served import LENGTH, Running, moving
from vidseg import plugins
from vidseg.datasets.annotation_file import read_annotation
from vidseg.media.write_clip import write_clip
from vidseg.trackers.boxes import iou

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
QUIET = "document.getElementById('saved').textContent === 'Saved' && !vidseg.app.unsaved"
FILLED = (
    "vidseg.app.status.fill.total === 0 && vidseg.app.status.revision === vidseg.app.state.revision"
)

STATE = "document.getElementById('object-state').textContent"


class Browser:
    """The page, and what was said on its console."""

    def __init__(self, page: Any, url: str) -> None:
        self.page, self.faults = page, []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: line.type == "error" and self.faults.append(line.text))
        page.goto(url)
        self.until("!!window.vidseg && !!vidseg.app.picture")

    def until(self, condition: str, seconds: float = 60) -> None:
        """Wait; the page's policy forbids Playwright's own way, which makes code of text."""
        end = time.monotonic() + seconds
        while not self.page.evaluate(f"Boolean({condition})"):
            assert time.monotonic() < end, condition
            time.sleep(0.02)

    def settle(self) -> None:
        self.until(QUIET)
        self.until(FILLED)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def drag(self, box: tuple[float, float, float, float]) -> None:
        """Drag over a box, given in pixels of the video."""
        left, top, width, height = box
        start, end = self._place(left, top), self._place(left + width, top + height)
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        self.page.mouse.move(*end)
        self.page.mouse.up()
        self.settle()

    def box(self, number: int, frame: int) -> Any:
        """Return an object's box as the page shows it."""
        script = "([id, frame]) => vidseg.app.boxShown(vidseg.app.state.objects.get(id), frame)"
        return self.page.evaluate(script, [number, frame])

    def _place(self, x: float, y: float) -> tuple[float, float]:
        view = self.page.evaluate(
            "(() => { const r = vidseg.view.canvas.getBoundingClientRect();"
            " return [vidseg.view.scale, vidseg.view.x + r.x, vidseg.view.y + r.y]; })()"
        )
        return view[1] + x * view[0], view[2] + y * view[0]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    clip = tmp_path / "street.mp4"
    write_clip(moving().frames(range(LENGTH)), clip, 25)
    found = Running(clip, tmp_path / "out")
    yield found
    if found.process.poll() is None:
        found.end(signal.SIGTERM)


def open_page(chromium: Any, server: Running) -> Browser:
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    return Browser(page, server.url)


def test_from_the_first_box_to_the_export(chromium: Any, server: Running) -> None:
    browser, truth = open_page(chromium, server), moving()
    page = browser.page
    assert "token" not in page.url
    browser.drag(truth.box(0))
    assert iou(np.array(browser.box(1, 0)), np.array(truth.box(0))) > 0.9
    browser.press("e")
    page.keyboard.type("<b>patch</b>")
    browser.press("Enter")
    browser.settle()
    assert page.input_value("#name") == "<b>patch</b>"
    assert not page.locator("b").count()
    browser.press("Escape")
    browser.drag((100, 80, 30, 25))
    assert browser.box(1, LENGTH - 1), "tracked on from the first box"

    browser.press("n")
    assert page.evaluate("[vidseg.app.frame, vidseg.app.selected]") == [LENGTH - 1, 1]
    browser.until(f"{STATE} === 'Tracked on from your last box'")
    browser.press("Enter")
    browser.settle()
    assert all(browser.box(1, frame) for frame in range(LENGTH))
    fitted = browser.box(1, 5)

    page.fill("#number", "11")
    browser.press("Enter")
    left, top, width, height = browser.box(1, 11)
    browser.drag((left + width / 2, top + height / 2, 15, 0))
    moved = browser.box(1, 11)
    assert moved[0] == pytest.approx(left + 15, abs=1.5)
    assert browser.box(1, 5) != fitted
    browser.press("Control+z")
    browser.settle()
    assert browser.box(1, 11) == pytest.approx([left, top, width, height])
    assert browser.box(1, 5) == fitted
    browser.press("Control+Shift+z")
    browser.settle()
    assert browser.box(1, 11) == pytest.approx(moved)
    browser.press("End", "Shift+F", "m", "m", "m")
    browser.settle()
    browser.until("vidseg.view.mask?.picture.width === 200")

    page.reload()
    browser.until("!!window.vidseg && !!vidseg.app.picture")
    assert browser.box(1, 11) == pytest.approx(moved)
    for form, reads in (("mot", "mot"), ("masks", "masks")):
        spec = exported(browser, form)
        assert spec.startswith(f"{reads}:")
        (video,) = plugins.create("dataset", spec).videos()
        assert video.probe().length == LENGTH
    assert browser.faults == []
    code, _ = server.end(signal.SIGTERM)
    assert code == 0
    held = read_annotation(server.output / "street")
    assert (held.objects[1].name, len(held.objects), len(held.finished)) == (
        "<b>patch</b>",
        2,
        LENGTH,
    )


def exported(browser: Browser, form: str) -> str:
    page = browser.page
    browser.press("Control+e")
    page.select_option("#format", form)
    page.click("#do-export")
    browser.until("document.getElementById('export-result').textContent.includes('Reads as')")
    said: str = page.inner_text("#export-result")
    page.click("#close-export")
    return said.partition("Reads as ")[2].splitlines()[0]


def test_enter_makes_no_box_while_the_object_is_tracked(chromium: Any, server: Running) -> None:
    browser = open_page(chromium, server)
    browser.page.evaluate("vidseg.app.set({ ahead: false })")
    browser.settle()
    browser.drag(moving().box(0))
    browser.press("End")
    at_work = "vidseg.app.status = {...vidseg.app.status, fill: {total: 9, done: 1, ids: [1]}}"
    browser.page.evaluate(at_work)
    browser.press("Enter")
    browser.until("document.getElementById('message').textContent.includes('being tracked')")
    assert browser.box(1, LENGTH - 1) is None
    browser.page.evaluate("vidseg.app.status = {...vidseg.app.status, fill: {total: 0, ids: []}}")
    browser.press("Enter")
    browser.settle()
    assert browser.box(1, LENGTH - 1)
    assert browser.faults == []


def test_two_pages_see_each_others_changes(chromium: Any, server: Running) -> None:
    first, second = open_page(chromium, server), open_page(chromium, server)
    first.drag(moving().box(0))
    second.until("vidseg.app.state.objects.size === 1")
    second.settle()
    second.drag((120, 80, 30, 25))
    first.until("vidseg.app.state.objects.size === 2")
    assert first.box(2, 0) == second.box(2, 0)
    assert first.faults == second.faults == []


def test_an_edit_that_cannot_be_saved_is_said(chromium: Any, server: Running) -> None:
    browser = open_page(chromium, server)
    browser.drag(moving().box(0))
    server.end(signal.SIGKILL)
    browser.press("f")
    browser.until("document.getElementById('saved').dataset.state === 'failed'")
    browser.until("document.getElementById('message').textContent.includes('does not answer')")
    assert not browser.page.evaluate("vidseg.app.state.isFinished(0)")
