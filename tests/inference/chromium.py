"""A headless Chromium that a test drives: it opens pages, clicks, and tells what it asked for."""

import base64
import fcntl
import io
import json
import os
import select
import shutil
import subprocess
import time

import numpy as np
import pytest
from PIL import Image

OPTIONS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--hide-scrollbars"),
    *("--force-color-profile=srgb", "--remote-debugging-pipe"),
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE = 60  # seconds for anything to happen


class Chromium:
    """One tab, spoken to over a pair of pipes in the DevTools protocol.

    `asked` are the addresses that it wanted, `said` what went to its console.
    """

    def __init__(self, folder, size=(1280, 800)):
        names = ("chromium", "chromium-browser", "google-chrome")
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None:
            pytest.skip("there is no Chromium here (Debian: apt-get install chromium)")
        self.asked, self.said, self._number, self._rest = [], [], 0, b""
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in (theirs_in, theirs_out)]
        own = [f"--user-data-dir={folder}", f"--window-size={size[0]},{size[1]}"]
        self._process = subprocess.Popen(
            [path, *OPTIONS, *own, "about:blank"], close_fds=False, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: [os.dup2(fd, to) for fd, to in zip(high, (3, 4), strict=True)],
        )  # fmt: skip
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._session = None
        tabs = self.call("Target.getTargets")["targetInfos"]
        tab = next(one["targetId"] for one in tabs if one["type"] == "page")
        found = self.call("Target.attachToTarget", targetId=tab, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)

    def close(self):
        self._process.kill()
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def call(self, method, **params):
        """Ask for something and wait for the answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], PATIENCE)
            read = os.read(self._in, 1 << 20) if ready else b""
            assert read, "Chromium does not answer"
            self._rest += read
        text, _, self._rest = self._rest.partition(b"\0")
        answer = json.loads(text)
        self._note(answer.get("method"), answer.get("params", {}))
        return answer

    def _note(self, method, params):
        if method == "Network.requestWillBeSent":
            self.asked.append(params["request"]["url"])
        elif method == "Network.webSocketCreated":
            self.asked.append(params["url"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.said.append(str(params["args"]))
        elif method == "Runtime.exceptionThrown":
            self.said.append(str(params["exceptionDetails"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            self.said.append(str(params["entry"]))

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, script):
        """The value of an expression of JavaScript; of what a promise becomes."""
        options = {"returnByValue": True, "awaitPromise": True}
        found = self.call("Runtime.evaluate", expression=script, **options)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def wait_for(self, script):
        """The value of an expression as soon as it is true."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(script)):
            assert time.monotonic() < end, f"never: {script}; console: {self.said}"
            time.sleep(0.05)
        return value

    def click(self, x, y):
        self.drag((x, y), (x, y))

    def drag(self, start, end):
        """Press, move and let go, in pixels of the page."""
        button = {"button": "left", "clickCount": 1}
        self._mouse("mouseMoved", start)
        self._mouse("mousePressed", start, **button)
        if start != end:
            for part in (0.3, 0.6, 1):
                place = [a + part * (b - a) for a, b in zip(start, end, strict=True)]
                self._mouse("mouseMoved", place, button="left", buttons=1)
        self._mouse("mouseReleased", end, **button)

    def wheel(self, x, y, up):
        """Turn the wheel by so many pixels."""
        self._mouse("mouseWheel", (x, y), deltaX=0, deltaY=-up)

    def _mouse(self, kind, place, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], **more)

    def screenshot(self):
        """The page as (H, W, 3) uint8."""
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.array(Image.open(io.BytesIO(png)).convert("RGB"))
