"""What a person sees of a training in TensorBoard: its pages in a real, headless browser."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import browser
import pytest

from dcgan_completion.training.trainer import SCALARS

pytestmark = browser.MARKS
WINDOW = "--window-size=1400,1500"  # TensorBoard loads only the cards in view

# all(root, selector): as querySelectorAll, inside of web components too. seen(element): whether
# it takes up room in the window.
LIBRARY = """
const all = (root, selector) => [...root.querySelectorAll('*')].flatMap(element => [
  ...(element.matches(selector) ? [element] : []),
  ...(element.shadowRoot ? all(element.shadowRoot, selector) : []),
]);
const seen = element => {
  const {left, right, top, bottom, width, height} = element.getBoundingClientRect();
  return element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && width > 0 && height > 0
    && left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
};
const cards = tag => all(document, tag).filter(seen).map(card =>
  [all(card.shadowRoot, '.heading-label.name')[0]?.textContent.trim(), card.shadowRoot]);
"""

# Opens the sections that are shut (all but the first two) and returns the names of the open ones.
SECTIONS = """
return all(document, 'tf-category-paginated-view').flatMap(({shadowRoot}) => {
  const name = shadowRoot.querySelector('.category-name');
  if (!name) return [];
  const open = shadowRoot.querySelector('.iron-collapse-opened');
  if (!open) shadowRoot.querySelector('button.heading').click();
  return open ? [name.textContent.trim()] : [];
});
"""

# Name of a chart -> colours of the lines drawn in it.
LINES = """
return Object.fromEntries(cards('tf-scalar-card').map(([name, card]) =>
  [name, [...new Set(all(card, 'path.line').filter(seen).map(l => getComputedStyle(l).stroke))]]));
"""

CHART = """
return cards('tf-scalar-card').flatMap(([name, card]) =>
  name === arguments[0] ? all(card, 'vz-line-chart2') : [])[0];
"""

# Name of a run -> its colour, in the table next to the chart under the mouse.
TOOLTIP = """
return Object.fromEntries(all(document, 'tbody tr')
  .filter(row => row.getRootNode().host?.matches('vz-line-chart-tooltip') && seen(row))
  .map(row => [row.cells[1].textContent,
    getComputedStyle(row.querySelector('.swatch')).backgroundColor]));
"""

# Names of the cards that hold a loaded picture.
IMAGES = """
return cards('tf-image-loader').flatMap(([name, card]) => all(card, 'img').some(image =>
  seen(image) && image.complete && image.naturalWidth && image.naturalHeight) ? [name] : []);
"""

HISTOGRAMS = """
return cards('tf-histogram-loader').flatMap(([name, card]) =>
  all(card, 'svg .histogram path').some(seen) ? [name] : []);
"""

# Label of a node -> where it is. The text is the label's own, without that of its <title>.
NODES = """
return Object.fromEntries(all(document, 'svg text.nodelabel').filter(seen).map(label =>
  [label.firstChild.textContent, JSON.stringify(label.getBoundingClientRect())]));
"""

TEXTS = """
return Object.fromEntries(cards('tf-text-loader').map(([name, card]) =>
  [name, all(card, 'code').filter(c => c.checkVisibility()).map(c => c.textContent).join('')]));
"""


GROUP = SCALARS.group


def runs_of(chart):
    return {run for run, name in SCALARS.charts.values() if f"{GROUP}/{name}" == chart}


def eventually(look, expected, seconds=60):
    """Waits until `look` returns what is expected; fails with what it returned last."""
    deadline = time.monotonic() + seconds
    while (found := look()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == expected


def stop(process):
    """Ends a process and what it has started: TensorBoard has a data server of its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture(scope="module")
def tensorboard(trained, tmp_path_factory):
    """The address of a TensorBoard that shows the logs of `trained`."""
    output = tmp_path_factory.mktemp("tensorboard") / "output.txt"
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(trained / "logs")]
    command += ["--host", "127.0.0.1", "--port", "0"]
    with open(output, "w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        deadline = time.monotonic() + 120
        while not (address := re.search(r"http://127\.0\.0\.1:\d+/", output.read_text())):
            running = process.poll() is None and time.monotonic() < deadline
            assert running, f"TensorBoard has not started:\n{output.read_text()}"
            time.sleep(0.2)
        yield address[0]
    finally:
        stop(process)


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    found = browser.start(profile, [WINDOW])
    try:
        yield found
    finally:
        found.quit()
        shutil.rmtree(profile, ignore_errors=True)


class Page:
    """A dashboard of TensorBoard in the browser."""

    def __init__(self, driver, address):
        self.driver = driver
        driver.get("about:blank")  # else a new fragment would not load the page anew
        driver.get(address)

    def look(self, script, *arguments):
        return self.driver.execute_script(LIBRARY + script, *arguments)

    def open_sections(self, names):
        eventually(lambda: sorted(self.look(SECTIONS)), sorted(names))

    def settle(self, script):
        """Waits until a script finds the same for a second: TensorBoard moves what it shows."""
        found = []

        def steady():
            found.append(self.look(script))
            return all(old == found[-1] for old in found[-6:-1]) and len(found) > 5

        eventually(steady, True)

    def point_at(self, chart, offset):
        """Moves the mouse to `offset` pixels right of a chart's middle."""
        from selenium.webdriver import ActionChains

        mouse = ActionChains(self.driver, duration=50)
        mouse.move_to_element_with_offset(self.look(CHART, chart), offset, 0).perform()

    def check_lines(self, chart, runs):
        """Points at a chart: TensorBoard then names its lines, by run and colour."""
        offsets = itertools.cycle((0, 5))  # it reacts only to a mouse that moves

        def pointed_at():
            self.point_at(chart, next(offsets))
            return set(self.look(TOOLTIP))

        eventually(pointed_at, runs, seconds=10)
        assert sorted(self.look(TOOLTIP).values()) == sorted(self.look(LINES)[chart])


@pytest.fixture
def show(driver, tensorboard, tmp_path):
    """Opens a dashboard by name; keeps a picture of how the test has left it in tmp_path."""
    opened = []

    def open_page(name):
        opened.append(name)
        return Page(driver, f"{tensorboard}#{name}")

    yield open_page
    driver.save_screenshot(str(tmp_path / f"{opened[-1]}.png"))


def test_scalars(show):
    assert runs_of(f"{GROUP}/loss") == {"discriminator", "generator"}
    charts = sorted({f"{GROUP}/{name}" for _, name in SCALARS.charts.values()}, reverse=True)
    page = show("scalars")
    page.open_sections([GROUP])
    expected = {chart: len(runs_of(chart)) for chart in charts}
    eventually(lambda: {c: len(lines) for c, lines in page.look(LINES).items()}, expected)
    for chart in charts:
        page.check_lines(chart, runs_of(chart))


def test_images(show):
    page = show("images")
    page.open_sections([GROUP])
    eventually(lambda: sorted(page.look(IMAGES)), [f"{GROUP}/samples", f"{GROUP}/training images"])


def test_histograms(show):
    page = show("histograms")
    page.open_sections([GROUP])
    names = [f"{GROUP}/{name}" for name in ("D(G(z))", "D(x)", "z")]
    eventually(lambda: sorted(page.look(HISTOGRAMS)), names)


def test_graphs(show):
    page = show("graphs")
    nodes = {"z", "generator", "discriminator"}
    eventually(lambda: nodes & page.look(NODES).keys(), nodes)
    page.settle(NODES)
    assert nodes <= page.look(NODES).keys()


def test_text(show, trained):
    page = show("text")
    page.open_sections(["configuration"])
    eventually(lambda: list(page.look(TEXTS)), ["configuration"])
    shown = json.loads(page.look(TEXTS)["configuration"])
    config = json.loads((trained / "checkpoint" / "config.json").read_text())
    assert shown["options"] == config["options"]
