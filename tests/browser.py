"""A headless browser, for the tests that look at pages as a person does."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome


def on_path(*names: str) -> str | None:
    """The path of the first of the programs that is installed, None if none is."""
    return next(filter(None, map(shutil.which, names)), None)


CHROMIUM = on_path("chromium", "chromium-browser", "google-chrome")
CHROMEDRIVER = on_path("chromedriver")
FOUND = {
    "Chromium": CHROMIUM,
    "chromedriver": CHROMEDRIVER,
    "selenium": importlib.util.find_spec("selenium"),
}
MISSING = [name for name, found in FOUND.items() if not found]
# For a test file's pytestmark.
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
]
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # root and most containers have none; the only page is our own
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def start(
    profile: str | Path, arguments: Sequence[str], preferences: dict[str, Any] | None = None
) -> Chrome:
    """A browser; its caller quits it. With preferences it keeps logs of what it does, too.

    Args:
      profile: folder for all that it writes.
      arguments: of its command line, besides OPTIONS.
      preferences: of the profile.
    """
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in (*OPTIONS, *arguments, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    if preferences is not None:
        options.add_experimental_option("prefs", preferences)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With both paths given, selenium looks for nothing to download.
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(CHROMEDRIVER))
