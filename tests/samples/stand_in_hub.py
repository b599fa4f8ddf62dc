"""A stand-in for the Hugging Face Hub on loopback: one repository, whose files lie in a folder."""

import contextlib
import hashlib
import http.server
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "a" * 40


@contextlib.contextmanager
def serving(folder):
    """Serve the files of a folder, whatever the repository is called, at revision `COMMIT`; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            if "/tree/" in path:
                files = [file for file in sorted(Path(folder).iterdir()) if file.is_file()]
                self.answer(json.dumps([self.entry(file) for file in files]).encode(), {})
            elif (file := Path(folder, path.rpartition("/")[2])).is_file():
                self.answer(file.read_bytes(), {"ETag": f'"{digest(file)}"', "X-Repo-Commit": COMMIT})
            else:
                self.send_error(404)

        do_HEAD = do_GET

        @staticmethod
        def entry(file):
            return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": digest(file)}

        def answer(self, content, told):
            self.send_response(200)
            for name, value in {**told, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def digest(file):
    return hashlib.sha1(file.read_bytes()).hexdigest()
