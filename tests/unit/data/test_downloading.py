"""Downloads arrive whole or not at all; a mirror is asked first, and checked."""

import hashlib
import http.server
import json
import threading

import pytest

from headatlas.base.errors import InputError
from headatlas.data import downloading

CONTENT = bytes(range(256)) * 500
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def server():
    """A web server on the loopback that counts what it is asked: it is well, breaks off, fails, or sends a page."""

    class Handler(http.server.BaseHTTPRequestHandler):
        requests = 0

        def do_GET(self):
            Handler.requests += 1
            if self.path == "/absent.bin":
                self.send_error(404)
            elif self.path == "/error.bin" or (self.path == "/second.bin" and Handler.requests < 3):
                self.send_error(500)
            elif self.path == "/page.bin":
                self.answer(b"<html>Please log in</html>", 1, "text/html; charset=utf-8")
            else:
                self.answer(CONTENT, 2 if self.path == "/short.bin" else 1, "application/octet-stream")

        def answer(self, content, part, kind):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // part])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=[0.01], daemon=True).start()
        running.handler, running.url = Handler, f"http://127.0.0.1:{running.server_port}"
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The seconds that would be waited between attempts."""
    waited = []
    monkeypatch.setattr("time.sleep", waited.append)
    return waited


def one_line_error(action):
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_download_arrives_and_is_not_asked_for_again(server, tmp_path):
    path = downloading.download(f"{server.url}/whole.bin", DIGEST, tmp_path)
    assert path.read_bytes() == CONTENT
    before = server.handler.requests
    assert downloading.download(f"{server.url}/whole.bin", DIGEST, tmp_path) == path
    assert server.handler.requests == before


def test_a_damaged_download_is_replaced(server, tmp_path):
    (tmp_path / "whole.bin").write_bytes(b"half")
    assert downloading.download(f"{server.url}/whole.bin", DIGEST, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("file", "digest", "said"),
    [
        ("whole.bin", hashlib.sha256(b"other").hexdigest(), DIGEST),
        ("short.bin", DIGEST, f"{len(CONTENT) // 2} bytes read"),
        ("error.bin", DIGEST, "500 Server Error"),
        ("page.bin", DIGEST, "the server sent a web page (text/html; charset=utf-8), not the file"),
        ("absent.bin", DIGEST, "404 Client Error"),
    ],
    ids=["wrong digest", "closes half-way", "answers 500", "sends HTML", "not there"],
)
def test_a_failed_download_is_tried_again_then_named_and_leaves_nothing(server, waits, tmp_path, file, digest, said):
    folder, before = tmp_path / "downloads", server.handler.requests
    message = one_line_error(lambda: downloading.download(f"{server.url}/{file}", digest, folder))
    assert server.handler.requests == before + 5
    assert waits == [1, 2, 3, 4]
    assert message.startswith(f"{file} from {server.url}/{file}: ")
    assert digest in message
    assert said in message
    assert not folder.exists()
    folder.mkdir()
    one_line_error(lambda: downloading.download(f"{server.url}/{file}", digest, folder))
    assert list(folder.iterdir()) == []


def test_a_server_that_recovers_costs_a_wait(server, waits, tmp_path):
    server.handler.requests = 0
    assert downloading.download(f"{server.url}/second.bin", DIGEST, tmp_path).read_bytes() == CONTENT
    assert waits == [1, 2]


def test_no_server_at_all(tmp_path):
    message = one_line_error(lambda: downloading.download("http://127.0.0.1:9/x.bin", DIGEST, tmp_path))
    assert "x.bin" in message


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../b", "a/b/c", "a\\b", "", None, "a b", "-x/y", "a..b/c"])
def test_names_do_not_escape(name, tmp_path):
    with pytest.raises(InputError):
        downloading.hub_name(name)


def test_hub_names():
    for name in ("gpt2", "openai-community/gpt2", "EleutherAI/pythia-70m-deduped", "a/b.c_d"):
        assert downloading.hub_name(name) == name


def test_mirror_is_asked_first_and_checked(tmp_path, monkeypatch):
    pinned = downloading.Pinned("brown/brown.zip", DIGEST, "http://127.0.0.1:9/brown.zip")
    monkeypatch.setitem(downloading.NLTK, "brown", pinned)
    (tmp_path / "brown").mkdir()
    (tmp_path / "brown" / "brown.zip").write_bytes(CONTENT)
    assert downloading.nltk_file("brown", tmp_path).read_bytes() == CONTENT
    (tmp_path / "brown" / "brown.zip").write_bytes(CONTENT[:-1])
    message = one_line_error(lambda: downloading.nltk_file("brown", tmp_path))
    assert "brown.zip" in message
    assert DIGEST in message


def test_mirror_falls_back_to_the_download(server, tmp_path, monkeypatch):
    monkeypatch.setitem(downloading.NLTK, "brown", downloading.Pinned("brown/x.zip", DIGEST, f"{server.url}/whole.bin"))
    (tmp_path / "mirror").mkdir()
    assert downloading.nltk_file("brown", tmp_path / "mirror", tmp_path / "kept").parent == tmp_path / "kept"
    assert "mirror" in one_line_error(lambda: downloading.nltk_file("brown", tmp_path / "nowhere", tmp_path / "kept"))
    assert "downloads" in one_line_error(lambda: downloading.nltk_file("brown", tmp_path / "mirror"))
    assert "masc_tagged" in one_line_error(lambda: downloading.nltk_file("treebank"))


def test_folders_of_pretrained_things(tmp_path):
    (tmp_path / "models" / "tiny").mkdir(parents=True)
    assert downloading.model_folder("someone/tiny", mirror=tmp_path) == tmp_path / "models" / "tiny"
    assert downloading.model_folder(str(tmp_path / "models")) == tmp_path / "models"
    assert "revision" in one_line_error(lambda: downloading.model_folder("someone/other", mirror=tmp_path))
    assert "not a folder" in one_line_error(lambda: downloading.model_folder(tmp_path / "absent"))


def test_a_failing_hub_is_one_line(monkeypatch, tmp_path):
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = {}

    def fail(name, **settings):
        asked.update(settings, name=name)
        raise LocalEntryNotFoundError("no network\nat all")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    message = one_line_error(lambda: downloading.model_folder("someone/tiny", "abc123", downloads=tmp_path))
    assert "someone/tiny" in message
    assert "abc123" in message
    assert asked["revision"] == "abc123"
    assert "pytorch_model.bin" not in asked["allow_patterns"]  # nothing is ever unpickled


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for the Hub that lists one file and breaks off in it; or fails, or sends pages."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = "b" * 40
            if hub.mode == "fails":
                self.send_error(500)
            elif hub.mode == "pages":
                self.answer(b"<html>Please log in</html>")
            elif "/tree/" in self.path:
                self.answer(json.dumps([{"type": "file", "path": "config.json", "size": 1000, "oid": name}]).encode())
            else:
                told = {"ETag": f'"{name}"', "X-Repo-Commit": COMMIT, "Content-Length": "1000"}
                self.answer(b"{" * (500 if self.command == "GET" else 0), told)

        do_HEAD = do_GET

        def answer(self, content, told=None):
            self.send_response(200)
            for name, value in (told or {"Content-Length": len(content)}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    from huggingface_hub import constants

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as hub:
        threading.Thread(target=hub.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{hub.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
        yield hub
        hub.shutdown()


COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("mode", "said", "again"),
    [
        ("fails", "500 Internal Server Error", True),
        ("pages", "perhaps the web page of a proxy", False),
        ("breaks off", "500 bytes, expected 1000", True),
    ],
)
def test_a_hub_that_fails_is_one_line_and_leaves_no_part(hub, waits, tmp_path, mode, said, again):
    hub.mode = mode
    message = one_line_error(lambda: downloading.model_folder("someone/tiny", COMMIT, downloads=tmp_path))
    assert message.startswith(f"someone/tiny at revision {COMMIT}: ")
    assert said in message
    assert bool(waits) == again
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".incomplete" or path.name == "config.json"]


def test_the_mirror_holds_what_the_table_says(mirror):
    pinned = [*downloading.NLTK.values()]
    for group in (*downloading.DATASETS.values(), downloading.TOKENIZERS):
        for files in group.values():
            pinned += files if isinstance(files, tuple) else [files]
    assert all(downloading.mirrored(file, mirror) for file in set(pinned))
    assert downloading.tokenizer_folder("gpt2", mirror=mirror).name == "gpt2_tokenizer"
    assert set(downloading.dataset_files("Salesforce/wikitext", "wikitext-2-raw-v1", mirror)) == {"validation", "test"}
    assert downloading.dataset_files("someone/else", None, mirror) is None


def test_each_checkpoint_has_a_folder_of_its_own(tmp_path):
    for name in ("tiny@step0", "tiny@step9", "tiny", "other"):
        (tmp_path / "models" / name).mkdir(parents=True)
    given = [{"name": "org/tiny", "revision": revision} for revision in ("step9", "step0", "main")]
    found = downloading.checkpoint_folders([*given, {"name": "org/other", "revision": None}], tmp_path)
    assert [place.name for place in found] == ["tiny@step9", "tiny@step0", "tiny", "other"]
    same = [{"name": "org/other", "revision": revision} for revision in ("step0", "step9")]
    message = one_line_error(lambda: downloading.checkpoint_folders(same, tmp_path))
    assert "checkpoints 0 and 1: org/other at revision step9" in message
    assert "models/NAME@REVISION" in message
