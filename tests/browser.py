"""A real browser, driven over its own debugging pipe: no server, no driver, no further package."""

import base64
import json
import os
import shutil
import subprocess
import threading
import time
from itertools import count
from pathlib import Path
from queue import Empty, Queue

NAMES = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS = (
    "headless=new no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-dev-shm-usage "
    "disable-component-update disable-sync hide-scrollbars force-color-profile=srgb remote-debugging-pipe"
)
READY = "document.documentElement.dataset.ready === location.hash && !document.body.innerText.includes('Unpacking')"
PATIENCE = 60  # seconds; what takes a second on an idle machine may take many on a busy one


def installed():
    """The browser of this machine, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of a headless browser that can reach no network.

    Attributes
    ----------
    complaints : list of str
        Errors of the console, exceptions that nobody caught, resources that did not load.
    requests : list of str
        Addresses that the page asked for, besides data within it.
    """

    def __init__(self, program, profile, size=(1440, 900)):
        there, here = os.pipe(), os.pipe()

        def hand_over():  # the browser listens on file 3 and speaks on file 4
            os.dup2(there[0], 103)
            os.dup2(here[1], 104)
            os.dup2(103, 3)
            os.dup2(104, 4)

        options = [f"--{option}" for option in _OPTIONS.split()]
        self._process = subprocess.Popen(
            [program, *options, f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=hand_over,
            close_fds=False,
        )
        os.close(there[0])
        os.close(here[1])
        self._to, self._from = os.fdopen(there[1], "wb", buffering=0), os.fdopen(here[0], "rb", buffering=0)
        self._numbers, self._answers = count(1), {}
        self.complaints, self.requests, self.session = [], [], None
        threading.Thread(target=self._listen, daemon=True).start()
        self._loaded = threading.Event()
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")
        self.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        self.resize(*size)

    def _listen(self):
        held = b""
        while block := self._from.read(1 << 16):
            held += block
            *whole, held = held.split(b"\0")
            for message in map(json.loads, whole):
                if "id" in message:
                    self._answers.setdefault(message["id"], Queue()).put(message)
                else:
                    self._heard(message["method"], message["params"])

    def _heard(self, method, told):
        if method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "assert", "warning"):
            self.complaints.append(" ".join(str(a.get("value", a.get("description"))) for a in told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.complaints.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")
        elif method == "Network.requestWillBeSent" and not told["request"]["url"].startswith(("data:", "blob:")):
            self.requests.append(told["request"]["url"])
        elif method == "Page.loadEventFired":
            self._loaded.set()

    def call(self, method, **parameters):
        """One command of the DevTools protocol, and its answer."""
        number = next(self._numbers)
        answer = self._answers.setdefault(number, Queue())
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self._to.write(json.dumps(message).encode() + b"\0")
        try:
            told = answer.get(timeout=PATIENCE)
        except Empty:
            raise TimeoutError(f"the browser did not answer {method}") from None
        del self._answers[number]
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']['message']}")
        return told["result"]

    def open(self, path, address=""):
        """Load a file from disk anew, at an address within it."""
        whole = Path(path).resolve().as_uri() + (f"#{address}" if address else "")
        for url in ("about:blank", whole):  # from another address within it, a file would not be loaded again
            self._loaded.clear()
            self.call("Page.navigate", url=url)
            if not self._loaded.wait(PATIENCE):
                raise TimeoutError(f"{url} did not load")

    def evaluate(self, expression):
        """The value of a JavaScript expression, promises awaited."""
        told = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in told:
            details = told["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return told["result"].get("value")

    def until(self, expression):
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise TimeoutError(f"never true: {expression}")
            time.sleep(0.02)

    def visit(self, path, address):
        """Open an address of an atlas, and wait until all of its view is there."""
        self.open(path, address)
        self.until(READY)

    def text(self, selector="main"):
        """What can be read in the elements that a selector matches, one after another."""
        return self.evaluate(
            f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.innerText).join('\\n')"
        )

    def click(self, selector):
        """As a person's pointer does, in the middle of the first element that a selector matches."""
        find = f"document.querySelector({json.dumps(selector)})"
        box = self.evaluate(f"({find}.scrollIntoView({{block: 'center'}}), {find}.getBoundingClientRect().toJSON())")
        self.click_at(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)

    def click_at(self, x, y, **more):
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.mouse(kind, x, y, button="none" if kind == "mouseMoved" else "left", clickCount=1, **more)

    def resize(self, width, height, scale=1):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False
        )

    def scheme(self, name):
        """Ask for "dark" or "light", as a person's system would."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def key(self, key, text=None):
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, **extra)

    def mouse(self, kind, x, y, **more):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def screenshot(self, path, whole=False):
        """What is seen, or the whole page, as a PNG file."""
        told = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(told["data"]))

    def close(self):
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)
        self._to.close()
