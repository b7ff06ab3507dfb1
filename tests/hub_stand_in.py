"""What of the Hugging Face hub's API it takes to upload a model and load it again, on this machine."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubStandIn(ThreadingHTTPServer):
    """Keeps what is uploaded, in `files`: path by repository and name."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, dict[str, bytes]] = {}
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub() -> Iterator[HubStandIn]:
    with HubStandIn() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: HubStandIn
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self._body()
        path = urlsplit(self.path).path
        repo = "/".join(path.split("/")[3:5])
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
            name = name if "/" in name else f"me/{name}"
            self.server.files.setdefault(name, {})
            return self._answer({"url": f"{self.server.url}/{name}", "name": name, "id": name})
        if path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if path.startswith("/api/models/") and "/preupload/" in path:
            asked = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in asked]
            return self._answer({"files": modes})
        if path.startswith("/api/models/") and "/commit/" in path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    self.server.files[repo][entry["value"]["path"]] = content
                elif entry["key"] == "deletedFile":
                    del self.server.files[repo][entry["value"]["path"]]
            url = f"{self.server.url}/{repo}/commit/{COMMIT}"
            return self._answer({"commitUrl": url, "commitOid": COMMIT, "success": True, "hookOutput": ""})
        return self._answer({"error": f"no {path} here"}, 404)

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/api/whoami-v2":
            return self._answer({"type": "user", "name": "me", "orgs": [], "auth": {}})
        if path.startswith("/api/models/"):
            repo = "/".join(path.split("/")[3:5])
            if repo in self.server.files and "/tree/" in path:
                files = self.server.files[repo].items()
                tree = [{"type": "file", "path": name, "size": len(one), "oid": ""} for name, one in files]
                return self._answer(tree)
            if repo in self.server.files:
                siblings = [{"rfilename": name} for name in self.server.files[repo]]
                return self._answer(
                    {"id": repo, "sha": COMMIT, "siblings": siblings, "tags": [], "private": False}
                )
        elif "/resolve/" in path:
            repo, _, rest = path.strip("/").partition("/resolve/")
            content = self.server.files.get(repo, {}).get(rest.partition("/")[2])
            if content is not None:
                return self._send(content, "application/octet-stream", 200)
        headers = {"X-Error-Code": "EntryNotFound"}
        return self._answer({"error": "Entry not found"}, 404, headers)

    do_HEAD = do_GET

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, content: object, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(content).encode(), "application/json", status, headers)

    def _send(self, content: bytes, kind: str, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        etag = hashlib.sha1(content).hexdigest()
        facts = {"Content-Type": kind, "Content-Length": str(len(content)), "ETag": f'"{etag}"'}
        for name, value in {**facts, "X-Repo-Commit": COMMIT, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
