"""The page in a headless browser, driven as its user does it."""

from __future__ import annotations

import base64
import importlib.util
import json
import mimetypes
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from serving_helpers import eventually

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

Point = tuple[float, float]

NAMES = ("chromium", "chromium-browser", "google-chrome")
FOUND = {
    "Chromium": next(filter(None, map(shutil.which, NAMES)), None),
    "chromedriver": shutil.which("chromedriver"),
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
    "--window-size=1440,900",
)
AXE = Path(__file__).with_name("serving") / "node_modules/axe-core/axe.min.js"
NO_AXE = "not installed: axe-core (npm ci --prefix tests/serving, as make test-all does)"
WATCH = """
window.violations = [];
window.pointers = new Set();
document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective));
document.addEventListener('pointerdown', e => pointers.add(e.pointerType), true);
"""
# A file of the user's that comes by an event: what, where, its name, type and contents.
BRING = """
const [what, place, name, type, text] = arguments;
const data = new DataTransfer();
data.items.add(new File([Uint8Array.from(atob(text), c => c.charCodeAt(0))], name, {type}));
const options = {bubbles: true, cancelable: true};
document.querySelector(place).dispatchEvent(what === 'paste'
  ? new ClipboardEvent(what, {...options, clipboardData: data})
  : new DragEvent(what, {...options, dataTransfer: data}));
"""


class Page:
    """The page, opened anew."""

    def __init__(self, driver: Chrome, address: str, saved: Path) -> None:
        self.driver, self.address, self.saved = driver, address, saved
        self.wait = eventually
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get_log("browser")
        driver.get(address)
        self.wait(lambda: "ready" in self.text("model"))

    def find(self, name: str) -> WebElement:
        return self.driver.find_element("id", name)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements("css selector", selector)

    def text(self, name: str) -> str:
        return self.find(name).text

    def value(self, expression: str) -> Any:
        """Of an expression of JavaScript, with the page's own `session` and `view`."""
        return self.driver.execute_async_script(
            "const done = arguments[0];"
            f"import('/session.js').then(({{session, view}}) => done({expression}))"
        )

    @property
    def hole(self) -> np.ndarray:
        """What is painted, bool [H, W]."""
        height, width, bits = self.value(
            "[session.mask.height, session.mask.width, [...session.mask.bits]]"
        )
        return np.array(bits, bool).reshape(height, width)

    # --- a photo comes ---

    def open_portrait(self, name: str = "eileen_collins.png") -> None:
        self.wait(lambda: self.driver.find_elements("id", name))
        self.find(name).click()
        self.wait_for_photo()

    def open_file(self, path: Path) -> None:
        self.find("file").send_keys(str(path))
        self.wait_for_photo()

    def bring(self, what: str, place: str, path: Path) -> None:
        """Drops or pastes a file."""
        kind, data = mimetypes.guess_type(path.name)[0], base64.b64encode(path.read_bytes())
        self.driver.execute_script(BRING, what, place, path.name, kind, data.decode())

    def wait_for_photo(self) -> None:
        self.wait(lambda: self.find("work").is_displayed())

    def wait_for_face(self) -> None:
        self.wait(lambda: self.value("view.outlines.length"))

    # --- pointers ---

    def place(self, x: float, y: float) -> Point:
        """Where a pixel of the photo is in the window."""
        return tuple(
            self.value(
                f"(({{left, top}}) => [left + ({x} * view.zoom + view.left) / view.ratio,"
                f" top + ({y} * view.zoom + view.top) / view.ratio])"
                "(view.canvas.getBoundingClientRect())"
            )
        )

    def drag(self, points: Sequence[Point], kind: str = "mouse") -> None:
        """A stroke by mouse, pen or touch."""
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        pointer = ActionChains(self.driver, 20, devices=[PointerInput(kind, kind)])
        action = pointer.w3c_actions.pointer_action
        for i, point in enumerate(points):
            action.move_to_location(*map(round, self.place(*point)))
            if i == 0:
                action.pointer_down()
        action.pointer_up()
        pointer.w3c_actions.perform()

    def pinch(self, before: Sequence[Point], after: Sequence[Point]) -> None:
        """Two fingers, whose places after it are pixels of the photo as it was before."""
        one, two = np.array([[self.place(*p) for p in points] for points in (before, after)])
        steps = [("touchStart", one[:1]), ("touchStart", one)]
        steps += [("touchMove", one + share * (two - one)) for share in (0.25, 0.5, 0.75, 1)]
        for kind, places in [*steps, ("touchEnd", two[:1]), ("touchEnd", [])]:
            points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
            event = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def wheel(self, point: Point, down: float) -> None:
        place = dict(zip("xy", self.place(*point), strict=True))
        event = {"type": "mouseWheel", "deltaX": 0, "deltaY": down, **place}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    # --- what is found, and taken away ---

    def wait_for_preview(self) -> None:
        self.wait(lambda: "Press Enter" in self.text("status"))

    def complete(self) -> None:
        self.find("complete").click()
        self.wait(lambda: self.find("result").is_displayed() or self.text("error"))
        assert not self.text("error"), self.text("error")

    def download(self, button: str, name: str) -> Path:
        path = self.saved / name
        path.unlink(missing_ok=True)
        self.find(button).click()
        self.wait(path.is_file)
        return path

    # --- what must never be ---

    def check_axe(self) -> None:
        """axe-core finds nothing to object to in what the page shows."""
        if not AXE.is_file():
            pytest.skip(NO_AXE)
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
        assert not found, [(v["id"], [n["html"] for n in v["nodes"]]) for v in found]

    def check_quiet(self) -> None:
        """No console error, no violation of the policy, no request of another origin."""
        errors = [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]
        assert not errors, errors
        violations = self.driver.execute_script("return violations")
        assert not violations, violations
        origin = urlsplit(self.address).netloc
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                assert url.scheme in ("blob", "data", "about") or url.netloc == origin, url


def start(folder: Path) -> Chrome:
    """A browser that saves into `folder`/saved, and keeps logs; its caller quits it."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = FOUND["Chromium"]
    for argument in (*OPTIONS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(argument)
    downloads = {"profile.default_content_setting_values.automatic_downloads": 1}
    options.add_experimental_option("prefs", downloads)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With both paths given, selenium looks for nothing to download.
    service = webdriver.ChromeService(FOUND["chromedriver"])
    driver = webdriver.Chrome(options=options, service=service)
    where = {"behavior": "allow", "downloadPath": str(folder / "saved")}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    driver.set_script_timeout(60)
    return driver
