"""tools/serve_map.py: the page in a real browser, and who can reach it."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from ..geo import CRS, write_raster
from ..inference.chromium import Chromium
from ..inference.map_files import CLASSES, write_map

pytest.importorskip("bokeh", reason="bokeh is the extra `web`")
pyogrio = pytest.importorskip("pyogrio", reason="pyogrio is the extra `geo`")

TOOL = Path(__file__).parents[2] / "tools" / "serve_map.py"
H, W = 300, 400
READY = "window.Bokeh && Bokeh.documents.length && Bokeh.documents[0].is_idle"
# Where a pixel (column, row) of the scene is on the page, and how large a pixel is there.
PLACE = """(() => {
  const models = [...Bokeh.documents[0]._all_models.values()];
  const figure = models.find(model => model.type == "Figure");
  const view = Bokeh.index.find_one(figure), box = view.canvas.el.getBoundingClientRect();
  const frame = view.frame, x = frame.x_scale, y = frame.y_scale;
  return [box.x + x.compute(COLUMN), box.y + y.compute(ROW), x.compute(1) - x.compute(0)];
})()"""
TEXT = """(() => {
  const all = node => [...node.childNodes].map(n => n.nodeType == 3 ? n.data : all(n)).join(" ")
    + (node.shadowRoot ? all(node.shadowRoot) : "");
  return all(document.body);
})()"""
CENTER = """(() => {
  const find = root => [...root.querySelectorAll("*")].flatMap(node => [
    ...(WANTED ? [node] : []), ...(node.shadowRoot ? find(node.shadowRoot) : [])]);
  const found = find(document).map(node => node.getBoundingClientRect()).filter(box => box.width);
  return found.length ? [found[0].x + found[0].width / 2, found[0].y + found[0].height / 2] : null;
})()"""

CONFIDENCE = "node.type == 'checkbox' && node.nextElementSibling.innerText == 'Confidence'"


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A grey scene and a map: class 0 on the left, 1 on the right, no class at the bottom."""
    folder = tmp_path_factory.mktemp("served")
    labels = np.zeros((H, W), np.uint8)
    labels[:, 200:] = 1
    labels[200:] = 255
    write_raster(folder / "s.tif", np.full((3, H, W), 120, np.uint8))
    write_map(folder / "m.tif", labels, confidence=np.full((H, W), 254))
    return folder


@pytest.fixture(scope="module")
def address(paths):
    """Of a server that runs, as a user would start it."""
    command = [sys.executable, TOOL, "--scene", paths / "s.tif", "--prediction", paths / "m.tif"]
    # What the environment asks for does not let anyone in, nor send anyone out.
    asked = {"BOKEH_RESOURCES": "cdn", "BOKEH_ALLOW_WS_ORIGIN": "*"}
    # Tests that run in the background ignore Ctrl-C, and so would what they start.
    process = subprocess.Popen(
        [*command, "--port", "0"], stdout=subprocess.PIPE, env=os.environ | asked, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    line = process.stdout.readline()
    yield re.match(r"http://127\.0\.0\.1:\d+/", line)[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0


@pytest.fixture
def browser(tmp_path):
    chromium = Chromium(tmp_path / "chromium")
    yield chromium
    chromium.close()


def place(browser, column, row):
    script = PLACE.replace("COLUMN", str(column)).replace("ROW", str(row))
    x, y, scale = browser.evaluate(script)
    return (round(x), round(y)), scale


def press(browser, wanted):
    browser.click(*browser.wait_for(CENTER.replace("WANTED", wanted)))


def has_text(browser, words):
    return browser.wait_for(f"/{words}/.test({TEXT})")


def color_at(browser, column, row):
    """Of the page, where that pixel of the scene is."""
    (x, y), _ = place(browser, column, row)
    return browser.screenshot()[y, x].astype(int)


def until_color(browser, column, row, color):
    """The page is drawn a moment after it is changed."""
    for _ in range(100):
        if np.abs(color_at(browser, column, row) - color).max() <= 2:
            return
        browser.evaluate("new Promise(done => setTimeout(done, 50))")
    raise AssertionError(f"{color_at(browser, column, row)} is not {color}")


def test_look_click_zoom_and_save(address, browser, paths):
    browser.open(address)
    browser.wait_for(READY)
    half = [(np.array(entry.color) + 120) / 2 for entry in CLASSES]
    until_color(browser, 100, 100, half[0])
    until_color(browser, 300, 100, half[1])
    until_color(browser, 100, 250, (120, 120, 120))
    assert has_text(browser, "water") and has_text(browser, "300 × 400 pixels, EPSG:32640")

    browser.click(*place(browser, 300.5, 100.5)[0])
    assert has_text(browser, r"Class +field +Confidence +100 % +Row, column +(99|10[01]), (299|30)")

    press(browser, CONFIDENCE)
    until_color(browser, 100, 100, (253, 231, 36))
    press(browser, CONFIDENCE)
    until_color(browser, 100, 100, half[0])

    press(browser, "node.title == 'Draw an area'")
    start, scale = place(browser, 50, 50)
    end, _ = place(browser, 150, 120)
    browser.drag(start, end)
    press(browser, "node.matches('button') && node.innerText == 'Save 1 area'")
    assert has_text(browser, "now has 1 area")
    about, _, shapes, _ = pyogrio.raw.read(paths / "m_suggestions.gpkg", layer="suggestions")
    assert about["crs"] == CRS
    found = pytest.importorskip("shapely").from_wkb(shapes[0]).bounds
    np.testing.assert_allclose(found, (500050, 2799880, 500150, 2799950), atol=2)

    browser.wheel(*start, 400)
    browser.wait_for(f"{PLACE.replace('COLUMN', '0').replace('ROW', '0')}[2] > {1.2 * scale}")
    until_color(browser, 60, 60, half[0])

    host = address.removeprefix("http://")
    asked = [url for url in browser.asked if not url.startswith("data:")]
    assert f"ws://{host}ws" in asked
    assert all(url.startswith((f"http://{host}", f"ws://{host}")) for url in asked), asked
    assert not [words for words in browser.said if "favicon" not in words]


def test_only_this_machine_and_these_pages_get_in(address):
    """Bokeh's own scripts, the page, and nothing else; no page of another origin connects."""
    port = int(address.split(":")[2].strip("/"))
    with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
        pass
    for path in ("m.tif", "static/../m.tif", "static/%2e%2e/%2e%2e/__init__.py", "etc/passwd"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"{address}{path}", timeout=30)
        assert refused.value.code in (403, 404)
    for origin in ("http://example.com", f"http://example.com:{port}", "http://localhost:1"):
        assert b" 403 " in answer_to(port, origin)


def answer_to(port, origin):
    """The first line that a page of an origin gets when it asks for the websocket."""
    lines = ["GET /ws HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Origin: {origin}"]
    lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "", ""]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall("\r\n".join(lines).encode())
        return client.recv(4096).splitlines()[0]


@pytest.fixture(scope="module")
def tool(load_script):
    return load_script(TOOL)


def test_what_can_be_mended_is_one_message(tool, paths, stops):
    def run(*more, prediction="m.tif"):
        files = ["--scene", paths / "s.tif", "--prediction", paths / prediction]
        tool.main([str(word) for word in (*files, *more)])

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with stops(rf"Port {port} of 127.0.0.1 cannot be used: .*in use. Give another --port"):
            run("--port", port)
    with stops("--port is a number from 0 .* to 65535, found 70000"):
        run("--port", 70000)
    with stops("s.tif is no class map"):
        run(prediction="s.tif")
    with stops("--bands takes one band"):
        run("--bands", 4)
    with stops("areas are saved as .gpkg"):
        run("--suggestions", "areas.geojson")
