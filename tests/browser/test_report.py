"""The report opens from disk in a browser, without a network, and one can click through all of it.

ADVTRANSFER_REQUIRE_BROWSER=1 makes a missing Chromium a failure instead of a skip.
ADVTRANSFER_SCREENSHOTS=<folder> keeps pictures of what was seen.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.skips import skip_loudly
from workflow_scripts.studies import folders

pytestmark = pytest.mark.browser
STUDIES = ("adversarial_to_knowledge", "knowledge_to_adversarial")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session", autouse=True)  # asked for first: no run for nobody's eyes
def browser() -> Iterator[Any]:
    """Headless Chromium of this machine."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        reason = "the report in a browser: no Chromium here (Debian: apt-get install chromium)"
        if os.environ.get("ADVTRANSFER_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        skip_loudly(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        yield chromium
        chromium.close()


class Seen:
    """What a page complained about and what it wanted from the network."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def watch(self, page: Any) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("console", self._console)
        page.route("**/*", self._request)

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.problems.append(f"console: {message.text}")

    def _request(self, route: Any) -> None:
        url = route.request.url
        if url.startswith(("file:", "data:", "blob:")):
            route.continue_()
        else:
            self.problems.append(f"request: {url}")
            route.abort()


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    """A function that opens a file; at the end, no page may have complained or left the disk."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(20_000)
    seen = Seen()
    context.on("page", seen.watch)

    def open_file(path: Path) -> Any:
        page = context.new_page()
        page.goto(path.as_uri())
        return page

    yield open_file
    context.close()
    assert seen.problems == []


def keep_picture(page: Any, name: str) -> None:
    folder = os.environ.get("ADVTRANSFER_SCREENSHOTS")
    if folder:
        page.screenshot(path=str(Path(folder) / f"{name}.png"))


def primary_value(run: Path, study: str) -> str:
    """The primary correlation as the page prints it: two decimals, a true minus."""
    with open(run / f"results/smoke/tables/{study}_correlations.csv", newline="") as handle:
        (row,) = (row for row in csv.DictReader(handle) if row["role"] == "primary")
    return f"{float(row['value']):.2f}".replace("-", "\N{MINUS SIGN}")


def figures_of(run: Path, study: str) -> list[str]:
    """What the report calls the figures of a study: the labels in their modules."""
    return sorted(figure.label for figure in folders.figures(study, study).values())


def click(page: Any, text: str) -> None:
    page.get_by_text(text, exact=True).first.click()


def listed(page: Any) -> list[str]:
    """The entries of the open category."""
    page.locator("tbody tr").first.wait_for()
    return [row.inner_text().strip() for row in page.locator("tbody tr").all()]


def is_drawn(page: Any) -> bool:
    """Whether a picture that the browser could decode fills a good part of the window."""
    sizes = page.evaluate(
        "[...document.images].filter(image => image.complete && image.naturalWidth > 0)"
        ".map(image => image.getBoundingClientRect().width)"
    )
    return max(sizes, default=0) > 300


@pytest.mark.parametrize("study", STUDIES)
def test_report_shows_every_figure_of_a_study(study: str, smoke_run: Path, opened: Any) -> None:
    page = opened(smoke_run / "results/smoke/report.html")
    keep_picture(page, "report")
    expected = figures_of(smoke_run, study)
    assert len(expected) == 6
    click(page, study)
    click(page, "figures")
    assert sorted(listed(page)) == expected
    for number in range(len(expected)):
        page.locator("tbody tr").nth(number).locator("[iconname=eye]").click()
        page.wait_for_timeout(300)
        assert is_drawn(page), f"figure {number + 1} of {study} does not show"
        keep_picture(page, f"{study}-figure-{number + 1}")
    # The caption: what the figure shows, with the study's own numbers.
    page.locator("tbody tr").first.locator("[iconname=information-circle]").click()
    page.get_by_text("Accuracy of every source", exact=False).first.wait_for()
    keep_picture(page, f"{study}-caption")


@pytest.mark.parametrize("study", STUDIES)
def test_report_opens_the_page_of_a_study(study: str, smoke_run: Path, opened: Any) -> None:
    """Prose inside the report, with the primary correlation of the table."""
    page = opened(smoke_run / "results/smoke/report.html")
    click(page, study)
    page.get_by_text("tables", exact=True).first.wait_for()
    subcategories = [row.inner_text().strip() for row in page.locator("nav li").all()]
    (prose,) = set(subcategories) & {"page", "Other"}
    click(page, prose)
    assert listed(page) == ["what was asked, measured and found"]
    page.locator("[iconname=eye]").first.click()
    page.frame_locator("iframe").get_by_text("How it was measured").wait_for()
    keep_picture(page, f"{study}-page")
    text = page.frame_locator("iframe").locator("body").inner_text()
    assert f"r = {primary_value(smoke_run, study)} " in text


@pytest.mark.parametrize("study", STUDIES)
def test_page_opens_by_itself(study: str, smoke_run: Path, opened: Any) -> None:
    page = opened(smoke_run / f"results/smoke/pages/{study}.html")
    assert f"r = {primary_value(smoke_run, study)} " in page.inner_text("body")
    broken = page.evaluate(
        "[...document.images].filter(image => !image.naturalWidth).map(image => image.alt)"
    )
    assert broken == []
    assert page.evaluate("document.images.length") == 6
    assert page.evaluate("[...document.images].every(image => image.alt.length > 10)")
    # Nothing sticks out of the window, on a desk or a phone: wide tables scroll by themselves.
    for width in (1400, 400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), width


def test_report_shows_tables_and_the_configuration(smoke_run: Path, opened: Any) -> None:
    page = opened(smoke_run / "results/smoke/report.html")
    click(page, STUDIES[0])
    click(page, "tables")
    assert sorted(listed(page)) == ["correlations", "sources"]
    page.reload()
    click(page, "About this run")
    assert sorted(listed(page)) == ["configuration", "environment", "index of artefacts"]
