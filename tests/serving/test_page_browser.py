"""The page in a real, headless browser, from a photo to its download."""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import browser
import numpy as np
import pytest
from helpers import load_picture
from serving_helpers import TOKEN, StubEngine, eventually, serving

from photos.portraits import PORTRAITS
from serving.finder import FaceFinder

pytestmark = browser.MARKS
# axe-core of npm: the path of its axe.min.js.
AXE = os.environ.get("AXE", "node_modules/axe-core/axe.min.js")

PREFERENCES = {"profile.default_content_setting_values.automatic_downloads": 1}
VIOLATIONS = """
window.violations = [];
document.addEventListener('securitypolicyviolation', e => violations.push(e.violatedDirective));
"""


class Page:
    """The page, driven as a user drives it."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": VIOLATIONS})
        driver.get("about:blank")
        driver.get_log("performance")
        driver.get(address)

    def find(self, name):
        return self.driver.find_element("id", name)

    def text(self, name):
        return self.find(name).text

    def wait(self, look):
        eventually(look)

    def open_portrait(self):
        self.wait(lambda: "ready" in self.text("model"))
        self.wait(lambda: self.driver.find_elements("id", "eileen_collins.png"))
        self.find("eileen_collins.png").click()
        self.wait(lambda: self.find("work").is_displayed())

    def place(self, x, y):
        """Where a pixel of the portrait is on the canvas, from its middle."""
        size = self.find("view").size
        scale = 0.98 * min(size["width"], size["height"]) / 512
        return (x - 256) * scale, (y - 256) * scale

    def drag(self, points, kind="mouse"):
        from selenium.webdriver import ActionChains
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        pointer = ActionChains(self.driver, 20, devices=[PointerInput(kind, kind)])
        action = pointer.w3c_actions.pointer_action
        for i, (x, y) in enumerate(points):
            action.move_to(self.find("view"), *map(int, self.place(x, y)))
            if i == 0:
                action.pointer_down()
        action.pointer_up()
        pointer.w3c_actions.perform()

    def painted(self):
        """The number of pixels that the page says are missing: of the mask it would save."""
        return not self.find("clear").get_property("disabled")

    def check_axe(self):
        if not Path(AXE).is_file():
            return
        self.driver.execute_script(Path(AXE).read_text(encoding="utf-8"))
        found = self.driver.execute_async_script("axe.run().then(arguments[0])")["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []

    def check_quiet(self, address):
        """No console error, no violation of the policy, no request of another origin."""
        assert [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"] == []
        assert self.driver.execute_script("return violations") == []
        origin = urlsplit(address).netloc
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = urlsplit(message["params"]["request"]["url"])
                assert url.scheme in ("blob", "data", "about") or url.netloc == origin, url


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    folder = tmp_path_factory.mktemp("profile")
    found = browser.start(folder, ["--window-size=1440,900"], PREFERENCES)
    found.saved = folder / "saved"
    where = {"behavior": "allow", "downloadPath": str(found.saved)}
    found.execute_cdp_cmd("Browser.setDownloadBehavior", where)
    try:
        yield found
    finally:
        found.quit()


@pytest.fixture(scope="module")
def served():
    with serving(StubEngine(60, 0.05), FaceFinder()) as (client, _):
        client.wait_until_ready()
        yield f"http://127.0.0.1:{client.port}/#{TOKEN}"


@pytest.fixture
def page(driver, served):
    return Page(driver, served)


def test_from_a_photo_to_its_download(page, served):
    from selenium.webdriver.common.keys import Keys

    page.check_axe()
    page.open_portrait()
    canvas = page.find("view")
    # By mouse; the estimate stands in the hole at once.
    page.drag([(205, 115), (225, 118), (245, 118)])
    page.wait(lambda: "Enter completes" in page.text("status"))
    assert page.painted()
    # Undo, redo.
    page.find("undo").click()
    assert not page.painted()
    page.find("redo").click()
    assert page.painted()
    # By touch and by keyboard.
    page.drag([(205, 135), (225, 138)], "touch")
    canvas.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_DOWN, " ", "]", "]", "[")
    for _ in range(2):
        page.find("undo").click()
    assert page.painted()
    page.wait(lambda: "Enter completes" in page.text("status"))
    page.check_axe()
    # A search that is stopped.
    canvas.send_keys(Keys.ENTER)
    page.wait(lambda: page.text("status").startswith("Iteration"))
    canvas.send_keys(Keys.ESCAPE)
    page.wait(lambda: page.text("status").startswith("Stopped after"))
    # Painting again leaves it; candidates.
    page.drag([(215, 120), (235, 120)])
    assert not page.find("result").is_displayed()
    page.driver.execute_script("document.getElementById('more').open = true")
    samples = page.find("samples")
    samples.clear()
    samples.send_keys("3")
    page.find("complete").click()
    page.wait(lambda: len(page.driver.find_elements("css selector", "#candidates button")) == 3)
    page.driver.find_elements("css selector", "#candidates button")[1].click()
    page.find("slider").send_keys(Keys.ARROW_RIGHT)
    page.check_axe()
    assert "--samples 3" in page.find("command").get_property("value")
    for name in ("download-photo", "download-layer", "save-mask"):
        page.find(name).click()
    files = [page.driver.saved / f"eileen_collins-{n}.png" for n in ("repaired", "layer", "mask")]
    page.wait(lambda: all(file.is_file() for file in files))
    repaired, layer, mask = map(load_picture, files)
    hole = mask[..., 0] > 0
    assert hole.any()
    original = PORTRAITS["eileen_collins.png"]()
    np.testing.assert_array_equal(repaired[~hole], original[~hole])
    np.testing.assert_array_equal(layer[..., 3] > 0, hole)
    np.testing.assert_array_equal(layer[hole][:, :3], repaired[hole])
    assert (repaired[hole] != original[hole]).any()
    page.check_quiet(served)
