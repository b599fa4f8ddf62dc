"""The report: every figure is in it with a caption, and a browser shows it, with no network and no complaint."""

import json
import re
import shutil
import subprocess
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from queue import Queue
from threading import Thread
from types import SimpleNamespace

import pytest
from docutils.core import publish_parts
from jinja2 import Environment, StrictUndefined
from snakemake.io import get_flag_value, is_flagged

from checkout import ROOT

CAPTIONS = ROOT / "report"
MODEL = "toy"  # of the embedded default: what a caption is rendered for
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


def reported(workflow):
    """Every output that the report shows, as (rule, path, flag)."""
    for rule in workflow.rules:
        for file in rule.output:
            if is_flagged(file, "report"):
                yield rule, str(file), get_flag_value(file, "report")


def test_every_figure_and_table_is_in_the_report(workflow):
    shown = {path for _, path, _ in reported(workflow)}
    assert len(shown) > 60
    for rule in workflow.rules:
        for path in map(str, rule.output):
            wanted = path.endswith((".png", ".csv", ".html")) and not path.endswith("atlas.html")  # a page of its own
            assert (path in shown) == wanted, f"rule {rule.name}: {path}"


def wildcards_of(path):
    """Every choice of the wildcards of a path; of models, one."""
    allowed = dict(re.findall(r"\{(\w+),([^}]*)\}", path))
    choices = [[MODEL] if name == "model" else values.split("|") for name, values in allowed.items()]
    return [dict(zip(allowed, chosen, strict=True)) for chosen in product(*choices)]


def test_every_caption_is_a_sentence_that_ends_in_corpus_models_and_sizes(workflow):
    used, described = set(), workflow.config["described"]
    for rule, path, flag in reported(workflow):
        place = CAPTIONS.parent / re.sub(r"^.*/report/", "report/", flag.caption.get_path_or_uri(secret_free=True))
        used.add(place)
        assert place.is_file(), f"rule {rule.name}: {place} is not there"
        template = Environment(undefined=StrictUndefined).from_string(place.read_text())
        for wildcards in wildcards_of(path):
            text = template.render(
                snakemake=SimpleNamespace(config=workflow.config, wildcards=SimpleNamespace(**wildcards))
            )
            text = " ".join(text.split())
            assert re.fullmatch(r"[A-Z][^.{}]{20,}.*\((?:[a-z]+: )?corp(us|ora) .*\)\.", text), f"{place.name}: {text}"
            assert ". " not in text, f"{place.name}: one sentence"
            clauses = [*described["of_study"].values(), described["of_model"][MODEL]]
            assert any(text.endswith(f"{clause}).") for clause in clauses), f"{place.name}: {text}"
            assert "system-message" not in publish_parts(text, writer="html")["body"], place
    assert used == {path for path in CAPTIONS.rglob("*.rst") if path.name != "workflow.rst"}, "a caption of nothing"


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
