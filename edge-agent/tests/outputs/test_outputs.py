from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from inyeon_edge.errors import OutputError
from inyeon_edge.outputs import FileOutput, NullOutput, Output, PreviewOutput

pytestmark = pytest.mark.unit

RED = np.full((48, 64, 3), (220, 20, 20), np.uint8)
BLUE = np.full((48, 64, 3), (20, 20, 220), np.uint8)


@pytest.fixture(params=["null", "file", "preview"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Output]:
    makers: dict[str, Callable[[], Output]] = {
        "null": NullOutput,
        "file": lambda: FileOutput(tmp_path / "out.mp4"),
        "preview": lambda: PreviewOutput(port=0),
    }
    made = makers[request.param]()
    yield made
    made.close()


def test_any_output_takes_pictures_of_any_size_and_time_and_closes_twice(output: Output) -> None:
    for number, size in enumerate([(48, 64), (1, 1), (30, 400), (48, 64)]):
        output.show(np.zeros((*size, 3), np.uint8), [5.0, 5.0, 1.0, 9.0][number])
    output.close()
    output.close()


def test_a_file_holds_what_was_shown(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    output = FileOutput(path)
    for number in range(10):
        output.show(RED if number < 5 else BLUE, 100 + number / 10)
    output.close()
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 10
    assert float(frames[-1].time or 0) == pytest.approx(0.9, abs=0.02)
    first, last = (f.to_ndarray(format="rgb24")[20, 30] for f in (frames[0], frames[-1]))
    assert first[0] > 180 and last[2] > 180


def test_a_file_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    output = FileOutput(tmp_path / "absent" / "out.mp4")
    with pytest.raises(OutputError) as raised:
        output.show(RED, 0.0)
    assert raised.value.field == "path"
    output.close()
    with pytest.raises(OutputError):
        output.show(RED, 1.0)


@pytest.fixture
def preview() -> Iterator[PreviewOutput]:
    output = PreviewOutput(port=0)
    yield output
    output.close()


def ask(preview: PreviewOutput, path: str, host: str = "127.0.0.1") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", preview.port, timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{preview.port}"})
    response = connection.getresponse()
    response.connection = connection  # type: ignore[attr-defined]  # kept alive with its answer
    return response


def hang_up(response: http.client.HTTPResponse) -> None:
    response.close()
    response.connection.close()  # type: ignore[attr-defined]


def test_the_stream_shows_what_is_shown(preview: PreviewOutput) -> None:
    preview.show(RED, 0.0)
    response = ask(preview, "/stream")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("multipart/x-mixed-replace")
    assert _part(response)[0] > 180
    preview.show(BLUE, 0.1)
    assert _part(response)[2] > 180
    hang_up(response)


def test_the_page_and_nothing_else(preview: PreviewOutput) -> None:
    page = ask(preview, "/")
    assert page.status == 200 and b"/stream" in page.read()
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    absent = ask(preview, "/etc/passwd")
    assert absent.status == 404
    for response in (page, absent):
        hang_up(response)


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.7", ""])
def test_other_names_for_this_machine_are_refused(preview: PreviewOutput, host: str) -> None:
    response = ask(preview, "/stream", host)
    assert response.status == 403
    hang_up(response)


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [("http://127.0.0.1:7480", True), ("https://example.org", False), ("null", False)],
)
def test_only_pages_of_this_machine_may_show_the_picture(
    preview: PreviewOutput, origin: str, allowed: bool
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", preview.port, timeout=5)
    with closing(connection):
        connection.request("GET", "/", headers={"Origin": origin})
        said = connection.getresponse().getheader("Access-Control-Allow-Origin")
    assert said == (origin if allowed else None)


def test_viewers_are_bounded(preview: PreviewOutput) -> None:
    preview.show(RED, 0.0)
    viewers = [ask(preview, "/stream") for _ in range(4)]
    assert [viewer.status for viewer in viewers] == [200] * 4
    fifth = ask(preview, "/stream")
    assert fifth.status == 503
    for response in (*viewers, fifth):
        hang_up(response)


def test_closing_ends_viewers(preview: PreviewOutput) -> None:
    preview.show(RED, 0.0)
    response = ask(preview, "/stream")
    _part(response)
    preview.close()
    ended = threading.Thread(target=response.read, daemon=True)
    ended.start()
    ended.join(10)
    assert not ended.is_alive()
    hang_up(response)
    with pytest.raises(OutputError):
        preview.show(RED, 1.0)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org", ""])  # noqa: S104
def test_only_loopback_is_bound(host: str) -> None:
    with pytest.raises(OutputError) as raised:
        PreviewOutput(port=0, host=host)
    assert raised.value.field == "host"


def test_a_taken_port_is_told(preview: PreviewOutput) -> None:
    with pytest.raises(OutputError) as raised:
        PreviewOutput(port=preview.port)
    assert raised.value.field == "port"


def _part(response: http.client.HTTPResponse) -> list[int]:
    """Colour in the middle of the next JPEG of the stream."""
    while not (line := response.readline()).lower().startswith(b"content-length"):
        assert line
    response.readline()
    data = np.frombuffer(response.read(int(line.split(b":")[1])), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None
    return [int(channel) for channel in image[24, 32][::-1]]
