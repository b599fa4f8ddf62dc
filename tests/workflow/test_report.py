"""The report: a browser shows it with all its captions, with no network and no complaint."""

import json
import re
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from threading import Thread

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking "
    "disable-component-update disable-sync window-size=1400,1000"
)
PATIENCE = 120  # seconds; a browser takes ten on an idle machine

# What a browser may complain of, from before the first script of the page
LISTEN = """<script>
const complaints = [];
addEventListener("error", event => complaints.push(event.message || `not loaded: ${event.target.src}`), true);
addEventListener("unhandledrejection", event => complaints.push(String(event.reason)));
console.error = (...words) => complaints.push(words.join(" "));
</script>"""

# Looks at the front page, then at one result after another as a reader would, and tells what it saw
LOOK = """<script>
const until = async condition => {
  for (let tries = 0; tries < 500; tries++) {
    const met = condition();
    if (met) return met;
    await new Promise(resolve => setTimeout(resolve, 10));
  }
};
const look = async () => {
  const seen = {};
  await until(() => document.querySelector("#app h1"));
  const page = document.querySelector("#app");
  const front = page.innerText;
  const title = [...page.querySelectorAll("h1")].find(title => title.innerText == "Head Atlas");
  const top = title.getBoundingClientRect().top;
  for (const [study, groups] of Object.entries(categories))
    for (const [protocol, paths] of Object.entries(groups))
      for (const path of paths) {
        const {data_uri: uri, mime_type: kind, labels} = results[path];
        seen[path] = {study, protocol, kind, labels, size: uri.length};
        const shown = {navbarMode: "resultinfo", category: study, subcategory: protocol, resultPath: path};
        if (kind == "image/png") Object.assign(shown, {content: "img", contentPath: uri});
        app.setView(shown);
        await until(() => page.innerText.includes(path));  // among the breadcrumbs
        const caption = page.querySelector("li.prose");
        seen[path].caption = caption && caption.innerText;
        if (kind != "image/png") continue;
        const image = await until(() => [...page.querySelectorAll("img")].find(image => image.src == uri));
        await image.decode().catch(() => {});
        Object.assign(seen[path], {width: image.naturalWidth, drawn: image.getBoundingClientRect().width});
      }
  const loaded = performance.getEntriesByType("resource").map(entry => entry.name);
  const fetched = loaded.filter(name => !name.startsWith("data:") && !name.endsWith("/favicon.ico"));
  return {front, top, seen, complaints, fetched};
};
const tell = saw => fetch("/saw", {method: "POST", body: JSON.stringify(saw)});
const fail = error => tell({complaints: [`${error} ${error.stack}`, ...complaints]});
addEventListener("load", () => look().then(tell, fail));
</script>"""


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    """The report of the finished run."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    assert finished.snakemake("--report", path).jobs == {}, "a report is made of what is there"
    return path


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"needs a browser: one of {', '.join(BROWSERS)}")
    return found


def seen_in(browser, page, profile):
    """What the browser tells of a page, which lies on a server of our own and can reach nothing else."""
    html, told = page.read_text(encoding="utf-8"), Queue()
    start, end = html.index("<head>") + len("<head>"), html.rindex("</body>")
    watched = (html[:start] + LISTEN + html[start:end] + LOOK + html[end:]).encode()

    class Server(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/" else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(watched if self.path == "/" else b"")

        def do_POST(self):
            told.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words):
            pass

    options = [f"--{option}" for option in OPTIONS.split()]
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        command = [browser, *options, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        with subprocess.Popen(
            [*command, f"--user-data-dir={profile}", f"http://127.0.0.1:{server.server_port}/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as running:
            try:
                return told.get(timeout=PATIENCE)
            finally:
                running.terminate()
                server.shutdown()


def test_a_browser_shows_every_figure_and_complains_of_nothing(browser, finished, page, tmp_path):
    saw = seen_in(browser, page, tmp_path / "profile")
    assert saw["complaints"] == []
    assert saw["fetched"] == [], "a report needs no other file and no network"
    assert saw["top"] >= 0, "the top of the front page cannot be scrolled to"
    sizes = "3 members of 1 layer with 3 heads"
    for word in ("phrenology", "tiny-a", "planted", sizes, "The configuration", "Versions"):
        assert word in saw["front"]
    results = finished.results.relative_to(finished.folder)
    files = [
        path.relative_to(finished.folder) for kind in ("png", "csv") for path in finished.results.rglob(f"*.{kind}")
    ]
    assert set(saw["seen"]) == {str(path) for path in (*files, results / "summary.html")}
    for path, result in saw["seen"].items():
        assert re.search(r"\(.*corpus planted; .*\)\.$", result["caption"]), f"{path}: {result['caption']}"
        if result["kind"] == "image/png":
            study, *within, _ = path.removeprefix(f"{results}/figures/").split("/")
            assert result["study"] == study, path
            assert result["protocol"] == (within[0] if within else "Other"), path
            assert result["width"] > 300, f"{path} is not shown"
            assert result["drawn"] > 100, f"{path} is not shown"
    titles = [(result["study"], result["protocol"], *result["labels"].values()) for result in saw["seen"].values()]
    assert len(titles) == len(set(titles)), "two results of one title: one hides the other"
