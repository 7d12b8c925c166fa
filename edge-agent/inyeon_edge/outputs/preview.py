"""The picture as sent, as MJPEG on 127.0.0.1: people see themselves exactly as others do."""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import cv2
import numpy as np

from inyeon_edge.errors import OutputError
from inyeon_edge.frame import Image

BOUNDARY = "inyeonframe"
JPEG_QUALITY = 80
MOST_VIEWERS = 4  # a preview is for one person; more is a mistake or an attack
IDLE_S = 5.0  # a viewer hears nothing for so long only when the camera stands still: then it ends
SOCKET_S = 5.0  # a viewer that takes no byte for so long is gone

PAGE = b"""<!doctype html><html lang="en"><title>Inyeon preview</title>
<body style="margin:0;background:#222"><img src="/stream" alt="Your picture as others see it">"""


class PreviewOutput:
    """Serves `/` and `/stream` on loopback; refuses other Host names (DNS rebinding)."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """Binds at once; port 0 takes a free one. Raises OutputError: not loopback, port taken."""
        if not _is_loopback(host):
            raise OutputError(f"the preview binds loopback only, not {host}", field="host")
        self._newest = _Newest()
        try:
            self._server = _Server((host, port), self._newest)
        except OSError as error:
            raise OutputError(f"{host}:{port}: {error}", field="port") from error
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.1,), name="preview", daemon=True
        )
        self._thread.start()
        self._closed = False

    @property
    def port(self) -> int:
        """The port that was bound."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Address of the page."""
        return f"http://127.0.0.1:{self.port}/"

    def show(self, image: Image, at_s: float) -> None:
        """As Output; JPEG is made only for pictures that a viewer takes."""
        if self._closed:
            raise OutputError("the preview is closed", field="port")
        self._newest.put(image)

    def close(self) -> None:
        """Ends viewers and server within a second."""
        if self._closed:
            return
        self._closed = True
        self._newest.end()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)


class _Newest:
    """The newest picture and its number; readers wait for a newer one."""

    def __init__(self) -> None:
        self._ready = threading.Condition()  # guards the three below
        self._image: Image | None = None
        self._number = 0
        self._ended = False

    def put(self, image: Image) -> None:
        with self._ready:
            self._image, self._number = image, self._number + 1
            self._ready.notify_all()

    def end(self) -> None:
        with self._ready:
            self._ended = True
            self._ready.notify_all()

    def pictures(self) -> Iterator[Image]:
        """Each picture once, newest wins; ends with `end` or after IDLE_S without any."""
        seen = 0
        while True:
            with self._ready:
                came = self._ready.wait_for(lambda: self._ended or self._number > seen, IDLE_S)  # noqa: B023 - called before the next turn
                if not came or self._ended or self._image is None:
                    return
                seen, image = self._number, self._image
            yield image


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], newest: _Newest) -> None:
        self.newest = newest
        self.viewers = threading.BoundedSemaphore(MOST_VIEWERS)
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    timeout = SOCKET_S
    server: _Server

    def do_GET(self) -> None:
        if not _is_loopback(self.headers.get("Host", "").rsplit(":", 1)[0]):
            self.send_error(403, "this preview is for this machine only")
        elif self.path == "/":
            self._answer("text/html; charset=utf-8", PAGE)
        elif self.path == "/stream":
            self._stream()
        else:
            self.send_error(404)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: who looks at a preview is nobody's business."""

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self._common(kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        if not self.server.viewers.acquire(blocking=False):
            self.send_error(503, "too many viewers")
            return
        try:
            self.send_response(200)
            self._common(f"multipart/x-mixed-replace; boundary={BOUNDARY}")
            self.end_headers()
            for image in self.server.newest.pictures():
                self._part(image)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the viewer left
        finally:
            self.server.viewers.release()

    def _part(self, image: Image) -> None:
        jpeg = encode_jpeg(image)
        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        self.wfile.write(head.encode() + jpeg + b"\r\n")

    def _common(self, kind: str) -> None:
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'self'; style-src 'unsafe-inline'")
        self.send_header("Cross-Origin-Resource-Policy", "same-site")
        self.send_header("X-Content-Type-Options", "nosniff")
        origin = self.headers.get("Origin", "")
        if _is_loopback(urlsplit(origin).hostname or ""):
            # A page of this machine may show the moving picture; browsers block it without CORS.
            self.send_header("Access-Control-Allow-Origin", origin)
            self.send_header("Vary", "Origin")


def encode_jpeg(image: Image) -> bytes:
    """JPEG of an RGB picture; raises OutputError where it cannot be made."""
    turned = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    made, data = cv2.imencode(".jpg", turned, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not made:
        raise OutputError("the picture cannot be made a JPEG", field="image")
    return np.asarray(data, np.uint8).tobytes()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
