"""The page in a browser, driven as its user does it."""

from __future__ import annotations

import base64
import json
import mimetypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import browser
import numpy as np
import pytest
from serving_helpers import eventually

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

Point = tuple[float, float]

AXE = Path(__file__).with_name("serving") / "node_modules/axe-core/axe.min.js"
NO_AXE = "not installed: axe-core (npm ci --prefix tests/serving, as make test-all does)"
PREFERENCES = {"profile.default_content_setting_values.automatic_downloads": 1}
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
const words = {bubbles: true, cancelable: true};
document.querySelector(place).dispatchEvent(what === 'paste'
  ? new ClipboardEvent(what, {...words, clipboardData: data})
  : new DragEvent(what, {...words, dataTransfer: data}));
"""


class Page:
    """The page, opened anew."""

    def __init__(self, driver: Chrome, address: str, saved: Path) -> None:
        self.driver, self.address, self.saved = driver, address, saved
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

    def wait(self, look: Callable[[], Any]) -> None:
        eventually(look)

    def value(self, expression: str) -> Any:
        """Of an expression of JavaScript, with the page's own `work` and `view`."""
        return self.driver.execute_async_script(
            "const done = arguments[0];"
            f"import('/work.js').then(({{work, view}}) => done({expression}))"
        )

    @property
    def hole(self) -> np.ndarray:
        """What is painted, bool [H, W]."""
        height, width, bits = self.value("[work.mask.height, work.mask.width, [...work.mask.bits]]")
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

    def touch(self, kind: str, *points: Point) -> None:
        """Fingers at pixels of the photo: touchStart, touchMove or touchEnd."""
        places = [dict(zip("xy", self.place(*p), strict=True), id=i) for i, p in enumerate(points)]
        event = {"type": kind, "touchPoints": places}
        self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def pinch(self, before: Sequence[Point], after: Sequence[Point]) -> None:
        """Two fingers, whose places after it are pixels of the photo as it was before."""
        one, two = (
            [dict(zip("xy", self.place(*p), strict=True)) for p in x] for x in (before, after)
        )
        steps = [("touchStart", one[:1]), ("touchStart", one)]
        for share in (0.25, 0.5, 0.75, 1):
            between = [
                {axis: a[axis] + share * (b[axis] - a[axis]) for axis in "xy"}
                for a, b in zip(one, two, strict=True)
            ]
            steps.append(("touchMove", between))
        for kind, places in [*steps, ("touchEnd", two[:1]), ("touchEnd", [])]:
            points = [place | {"id": i} for i, place in enumerate(places)]
            event = {"type": kind, "touchPoints": points}
            self.driver.execute_cdp_cmd("Input.dispatchTouchEvent", event)

    def wheel(self, point: Point, down: float) -> None:
        place = dict(zip("xy", self.place(*point), strict=True))
        event = {"type": "mouseWheel", "deltaX": 0, "deltaY": down, **place}
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    # --- what is found, and taken away ---

    def wait_for_preview(self) -> None:
        self.wait(lambda: "Enter completes" in self.text("status"))

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
        told = [(v["id"], [n["html"] for n in v["nodes"]]) for v in found]
        assert not told, told

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
    """A browser that saves into `folder`/saved, and watches what the page does."""
    driver = browser.start(folder / "profile", ["--window-size=1440,900"], PREFERENCES)
    where = {"behavior": "allow", "downloadPath": str(folder / "saved")}
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
    driver.set_script_timeout(60)
    return driver
