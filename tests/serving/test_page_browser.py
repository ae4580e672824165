"""The page in a real, headless browser, from a photo to its download."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import page_driver
import pytest
from helpers import load_picture, save_picture
from page_driver import Page
from serving_helpers import TOKEN, StubEngine, serving

from dcgan_completion.photos.portraits import PORTRAITS
from dcgan_completion.serving.finder import FaceFinder
from dcgan_completion.serving.page_server import PageServer

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = page_driver.MARKS


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    with serving(StubEngine(30, 0.05), FaceFinder()) as (client, server):
        client.wait_until_ready()
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def driver(folder: Path) -> Iterator[Chrome]:
    with page_driver.start(folder) as found:
        yield found


@pytest.fixture
def page(driver: Chrome, server: PageServer, folder: Path) -> Iterator[Page]:
    port = server.http.server_address[1]
    page = Page(driver, f"http://127.0.0.1:{port}/#{TOKEN}", folder / "saved")
    yield page
    page.check_quiet()
    server.store._photos.clear()


def save_two_faces(folder: Path) -> Path:
    both = [PORTRAITS[name]()[:300] for name in ("eileen_collins.png", "grace_hopper.png")]
    return save_picture(folder / "two.png", np.concatenate(both, axis=1))


def open_more(page: Page, candidates: int = 1) -> None:
    page.driver.execute_script("document.getElementById('more').open = true")
    samples = page.find("samples")
    samples.clear()
    samples.send_keys(str(candidates))


def test_from_a_photo_to_its_download(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open_portrait()
    page.wait_for_face()
    canvas = page.find("view")
    # By mouse, touch and pen; the estimate is shown at once.
    for row, kind in [(115, "mouse"), (130, "touch"), (145, "pen")]:
        before = page.hole.sum()
        page.drag([(205, row), (225, row + 3), (245, row + 3)], kind)
        page.wait_for_preview()
        assert page.hole.sum() > before
    assert sorted(page.driver.execute_script("return [...pointers]")) == ["mouse", "pen", "touch"]
    # A search that is stopped.
    canvas.send_keys(Keys.ENTER)
    page.wait(lambda: page.text("status").startswith("Iteration"))
    page.wait(lambda: page.find("loss").is_displayed())  # from the second iteration on
    canvas.send_keys(Keys.ESCAPE)
    page.wait(lambda: page.text("status").startswith("Stopped after"))
    assert page.find("loss").is_displayed()
    # Painting again leaves it; candidates.
    page.drag([(215, 120), (235, 120)])
    assert not page.find("result").is_displayed()
    open_more(page, 3)
    assert page.find("compile-note").is_displayed()
    page.complete()
    page.wait(lambda: len(page.all("#candidates button")) == 3)
    page.all("#candidates button")[1].click()
    page.wait(lambda: page.all("#candidates button")[1].get_attribute("aria-pressed") == "true")
    page.find("slider").send_keys(Keys.ARROW_RIGHT)
    assert "--samples 3" in page.find("command").get_property("value")
    repaired, layer, mask = (
        load_picture(page.download(button, f"eileen_collins-{name}.png"))
        for button, name in [
            ("download-photo", "repaired"),
            ("download-layer", "layer"),
            ("save-mask", "mask"),
        ]
    )
    hole = mask[..., 0] > 0
    np.testing.assert_array_equal(hole, page.hole)
    original = PORTRAITS["eileen_collins.png"]()
    np.testing.assert_array_equal(repaired[~hole], original[~hole])
    np.testing.assert_array_equal(layer[..., 3] > 0, hole)
    np.testing.assert_array_equal(layer[hole][:, :3], repaired[hole])
    assert (repaired[hole] != original[hole]).any()


def test_a_result_can_be_abandoned_while_its_picture_is_loading(page: Page) -> None:
    page.open_portrait()
    page.wait_for_face()
    page.drag([(205, 115), (245, 118)])
    page.wait_for_preview()
    page.driver.execute_script(
        """
        const real = window.fetch;
        window.late = 0;
        window.fetch = async (...words) => {
            const response = await real(...words);
            if (String(words[0]).endsWith("/hole")) {
                window.late++;
                await new Promise(done => setTimeout(done, 1000));
                setTimeout(() => window.late++, 500);  // when it would be shown
            }
            return response;
        };
        """
    )
    page.find("complete").click()
    page.wait(lambda: page.driver.execute_script("return window.late") == 1)
    page.drag([(205, 130), (245, 133)])
    page.wait(lambda: page.driver.execute_script("return window.late") == 2)
    page.wait_for_preview()
    assert not page.find("result").is_displayed()
    assert not page.find("compare").is_displayed()


def test_painting_abandons_a_search(page: Page, server: PageServer) -> None:
    page.open_portrait()
    page.wait_for_face()
    page.drag([(205, 115), (245, 118)])
    page.find("complete").click()
    page.wait(lambda: page.text("status").startswith("Iteration"))
    page.drag([(205, 135), (245, 138)])
    page.wait(lambda: not server.engine.running)
    page.wait_for_preview()
    assert not page.find("result").is_displayed()
    assert page.find("complete").is_displayed()


def test_every_tool_paints_what_it_says_and_can_be_undone(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open_portrait()
    canvas, steps = page.find("view"), [page.hole]
    assert not steps[0].any()
    canvas.send_keys("r")
    page.drag([(100, 120), (180, 200)])
    canvas.send_keys("e")
    steps.append(page.hole)
    rows, columns = (np.flatnonzero(steps[1].any(axis)) for axis in (1, 0))
    assert np.allclose([rows[0], rows[-1], columns[0], columns[-1]], [120, 200, 100, 180], atol=2)
    assert steps[1].sum() == len(rows) * len(columns)
    page.drag([(140, 100), (140, 220)])  # the eraser
    steps.append(page.hole)
    assert not steps[2][120:200, 138:142].any()
    assert not (steps[2] & ~steps[1]).any()
    # The keyboard: the smallest brush, moved while Space is held.
    canvas.send_keys("b", *40 * ["["])
    assert page.text("size-text") == "2 px"
    canvas.send_keys(Keys.SHIFT, Keys.ARROW_LEFT, Keys.NULL, " ")
    steps.append(page.hole)
    assert (steps[3] & ~steps[2]).sum() in range(1, 9)
    page.find("clear").click()
    steps.append(page.hole)
    assert not steps[4].any()
    for step in reversed(steps[:-1]):
        canvas.send_keys(Keys.CONTROL, "z", Keys.NULL)
        np.testing.assert_array_equal(page.hole, step)
    assert page.find("undo").get_property("disabled")
    for step in steps[1:]:
        page.find("redo").click()
        np.testing.assert_array_equal(page.hole, step)


def test_wheel_and_pinch_zoom_where_they_are(page: Page) -> None:
    page.open_portrait()
    fitted = page.value("view.zoom")
    place = page.place(200, 150)
    page.wheel((200, 150), -400)
    page.wait(lambda: page.value("view.zoom") > 1.5 * fitted)
    assert np.allclose(page.place(200, 150), place, atol=2)
    page.find("zoom-fit").click()
    assert page.value("view.zoom") == fitted
    page.pinch([(200, 150), (240, 150)], [(180, 150), (260, 150)])
    assert page.value("view.zoom") == pytest.approx(2 * fitted, rel=0.1)
    assert np.allclose(page.place(220, 150)[1], place[1], atol=5)
    assert not page.hole.any()  # the first of two fingers paints nothing
    page.find("view").send_keys("h")
    before = page.place(220, 150)
    page.drag([(220, 150), (240, 160)])
    moved = np.subtract(page.place(220, 150), before)
    assert np.allclose(moved, 2 * fitted / page.value("view.ratio") * np.array([20, 10]), atol=4)
    assert not page.hole.any()


@pytest.mark.parametrize("what", ["drop", "paste"])
def test_a_photo_is_dropped_or_pasted(what: str, page: Page, tmp_path: Path) -> None:
    path = save_picture(tmp_path / "some one.png", PORTRAITS["grace_hopper.png"]()[:300, :320])
    page.bring(what, "#start" if what == "drop" else "body", path)
    page.wait_for_photo()
    assert page.value("[session.mask.width, session.mask.height]") == [320, 300]
    # Another one takes its place.
    page.bring(
        what, "#stage", save_picture(tmp_path / "other.png", np.full([90, 80, 3], 99, np.uint8))
    )
    page.wait(lambda: page.value("session.mask.width") == 80)


def test_a_mask_is_loaded_and_saved(page: Page, tmp_path: Path) -> None:
    page.open_portrait()
    page.wait_for_face()
    hole = np.zeros([512, 512], np.uint8)
    hole[100:140, 200:250] = 255
    hole[120, 220] = 0
    page.find("mask-file").send_keys(str(save_picture(tmp_path / "mask.png", hole)))
    page.wait_for_preview()
    saved = load_picture(page.download("save-mask", "eileen_collins-mask.png"))
    np.testing.assert_array_equal(saved[..., 0], hole)
    page.find("undo").click()
    assert not page.hole.any()
    page.find("mask-file").send_keys(str(save_picture(tmp_path / "small.png", hole[1:])))
    page.wait(lambda: "511" in page.text("error"))
    page.driver.get_log("browser")  # the refusal


def test_three_clicks_say_where_a_face_is_that_is_not_found(page: Page, tmp_path: Path) -> None:
    level = np.linspace(60, 200, 300).astype(np.uint8)
    page.open_file(
        save_picture(tmp_path / "no face.png", np.dstack([np.tile(level, [300, 1])] * 3))
    )
    page.wait(lambda: "Click 1 of 3" in page.text("landmark-text"))
    for count, point in enumerate([(120, 110), (180, 110), (150, 190)], 1):
        page.drag([point])
        page.wait(lambda: f"Click {count + 1} of 3" in page.text("landmark-text") or count == 3)  # noqa: B023
    assert "you marked it" in page.text("landmark-text")
    page.drag([(130, 140), (170, 140)])
    page.wait_for_preview()
    page.complete()
    words = shlex.split(page.find("command").get_property("value"))
    assert words[1:4] == ["no face.png", "--mask", "no face-mask.png"]
    assert words[words.index("--landmarks") + 1] == "landmarks.txt"
    lines = page.download("save-landmarks", "landmarks.txt").read_text(encoding="utf-8")
    points = np.array([line.split(",") for line in lines.splitlines()], float)
    assert np.allclose(points, [[119.5, 109.5], [179.5, 109.5], [149.5, 189.5]], atol=2)


def test_one_of_several_faces_is_chosen_in_the_photo(page: Page, tmp_path: Path) -> None:
    page.open_file(save_two_faces(tmp_path))
    page.wait(lambda: page.find("faces").is_displayed())
    assert page.value("view.outlines.length") == 2
    corners = np.array(page.value("view.outlines[1].corners"))
    page.drag([tuple(corners.mean(axis=0))])
    choices = page.all("#face-choices button")
    page.wait(lambda: choices[2].get_attribute("aria-pressed") == "true")
    x, y = corners.mean(axis=0)
    page.drag([(x - 10, y), (x + 10, y)])
    page.wait_for_preview()
    page.complete()
    assert "--face 2" in page.find("command").get_property("value")
    choices[0].click()
    page.wait_for_preview()
    page.complete()
    assert "--face" not in page.find("command").get_property("value")
    # A face that was not found.
    open_more(page)
    page.find("landmarks-on").click()
    for point in [(x - 20, y - 20), (x + 20, y - 20), (x, y + 40)]:
        page.drag([point])
    page.wait(lambda: "you marked it" in page.text("landmark-text"))
    page.complete()
    assert "--landmarks" in page.find("command").get_property("value")
    page.find("landmarks-off").click()
    page.wait_for_preview()
    page.complete()
    assert "--landmarks" not in page.find("command").get_property("value")


def test_a_dropped_photo_is_sent_again(page: Page, server: PageServer) -> None:
    page.open_portrait()
    page.wait_for_face()
    page.drag([(205, 115), (245, 118)])
    page.wait_for_preview()
    server.store._photos.clear()
    page.complete()
    server.store._photos.clear()
    page.drag([(205, 135), (245, 138)])
    page.wait_for_preview()
    assert len(server.store) == 1
    page.driver.get_log("browser")  # that it was dropped


def test_axe_finds_nothing(page: Page, tmp_path: Path) -> None:
    def check() -> None:
        for scheme in ("light", "dark"):
            features = [{"name": "prefers-color-scheme", "value": scheme}]
            page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
            page.check_axe()

    page.wait(lambda: page.driver.find_elements("id", "grace_hopper.png"))
    check()
    page.open_file(save_picture(tmp_path / "flat.png", np.full([200, 200, 3], 120, np.uint8)))
    page.wait(lambda: page.find("landmarks").is_displayed())
    check()
    page.bring("drop", "body", save_two_faces(tmp_path))
    page.wait(lambda: page.find("faces").is_displayed())
    check()
    page.all("#face-choices button")[0].click()
    page.drag([(205, 115), (225, 118), (245, 118)])
    page.wait_for_preview()
    open_more(page, 2)
    check()
    page.complete()
    page.wait(lambda: len(page.all("#candidates button")) == 2)
    check()
