"""A real browser that is offline, and pages in it that may say nothing wrong: Debian's chromium, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LOCAL = ("data:", "blob:", "file:", "about:")


def browser_path() -> str | None:
    """The browser that tests use: what BROWSER_FOR_TESTS names, or the first chromium on the path; None without one."""
    return next(filter(None, map(shutil.which, (os.environ.get("BROWSER_FOR_TESTS", ""), *NAMES))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One browser a session (a worker); tests that ask for it are skipped, with the reason, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    path = browser_path()
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the path (Debian: apt-get install chromium)")
    with sync_api.sync_playwright() as playwright:
        # chromium's own sandbox does not work as root, which containers of CI mostly are
        launched = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """``open_page(html or Path, **options of the context) -> Playwright page``; offline, and checked when the test ends.

    What a page writes to the console as an error or a warning (a refusal of its content security policy, too), what it
    throws and whatever it asks the network for fails the test. That policy knows no eval, so `wait_for_function` does not
    work: wait for a locator, as ``html:not([data-busy])`` for figures that are scored.
    """
    wrong: list[str] = []
    contexts = []

    def opened(source: str | Path, **options: Any) -> Any:
        context = browser.new_context(offline=True, **{"viewport": {"width": 1440, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(20_000)  # two slow cores shared with other tests
        page = context.new_page()
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: None if request.url.startswith(LOCAL) else wrong.append(request.url[:200]))
        if isinstance(source, Path):
            page.goto(source.resolve().as_uri())
        else:
            page.set_content(source)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not wrong, wrong
