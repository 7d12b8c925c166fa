"""For every test: one kind each, real engines to borrow, and a count of those that took part.

A test that needs a real engine says so by `@pytest.mark.engine("apertium")`. A whole run under CI
fails when one of ENGINES took part in no passed test. The fixtures `kafka`, `postgres` and `triton`
are shared by the whole run: fresh topic, group, database and id names for each test. A test that
stops or kills an engine starts one of its own, with a folder of `engine_folder`. `foreign_client`
finds a client that we did not write; under CI a missing one is a failure too.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from inyeon_stack import EngineMissing, KafkaCluster, Postgres, Triton

KINDS = {"unit", "contract", "integration", "e2e", "chaos", "load"}
ENGINES = (
    *("onnxruntime", "litert", "aiortc", "apertium", "sqlite", "grpc"),
    *("kafka", "postgresql", "triton"),
)
ROOT = Path(__file__).parent
MODELS = Path(os.environ.get("INYEON_MODELS_DIR") or ROOT / "build" / "models")
TOOLS = Path(os.environ.get("INYEON_TOOLS_DIR") or ROOT / "build" / "tools")
TOOK_PART: Counter[str] = Counter()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each test carries exactly one kind."""
    wrong = [i.nodeid for i in items if len(KINDS & {m.name for m in i.iter_markers()}) != 1]
    if wrong:
        raise pytest.UsageError(f"tests without exactly one kind of {sorted(KINDS)}: {wrong[:5]}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Counts an engine when a test that names it has passed."""
    report = yield
    if report.when == "call" and report.passed:
        TOOK_PART.update({str(m.args[0]) for m in item.iter_markers("engine")})
    return report


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A missing engine is a failure of a whole run under CI."""
    if _missing(session.config) and os.environ.get("CI") and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Says which engines took part, before pytest's closing line."""
    counts = ", ".join(f"{name} {TOOK_PART[name]}" for name in ENGINES)
    terminalreporter.write_line(f"real engines, by tests passed with them: {counts}")
    for name in _missing(config):
        terminalreporter.write_line(f"engine missing: {name}")


def _missing(config: pytest.Config) -> list[str]:
    is_whole = config.args == config.getini("testpaths") and not config.option.keyword
    return [name for name in ENGINES if not TOOK_PART[name]] if is_whole else []


@pytest.fixture(scope="session")
def engine_folder() -> Generator[Path, None, None]:
    """For engines; everybody may enter it, for PostgreSQL runs as another user when we are root."""
    folder = Path(tempfile.mkdtemp(prefix="inyeon-engines-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def kafka(engine_folder: Path) -> Generator[KafkaCluster, None, None]:
    """A broker of one node."""
    cluster = KafkaCluster(engine_folder / "kafka")
    _start_or_skip(cluster.start)
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def postgres(engine_folder: Path) -> Generator[Postgres, None, None]:
    """A server without fsync: it is as fast as a test needs and keeps nothing."""
    server = Postgres(engine_folder / "postgres", durable=False)
    _start_or_skip(server.start)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def triton(engine_folder: Path) -> Generator[Triton, None, None]:
    """A server with the repository that `inyeon inference export` makes."""
    if not (MODELS / "index.json").exists():
        if os.environ.get("CI"):
            pytest.fail(f"no models in {MODELS}")
        pytest.skip(f"no models in {MODELS}: run `make models` first")
    repository = engine_folder / "repository"
    export_repository(repository)
    server = Triton(engine_folder / "triton", repository)
    _start_or_skip(server.start)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def foreign_client() -> Callable[[str], Path]:
    """The path of kcat, grpcurl or grpc-health-probe, as `make clients` brings them."""

    def find(name: str) -> Path:
        found = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
        if found is None and os.environ.get("CI"):
            pytest.fail(f"no {name} in {TOOLS}: `make clients` brings it")
        if found is None:
            pytest.skip(f"no {name} in {TOOLS}: `make clients` brings it")
        return Path(found)

    return find


def export_repository(target: Path) -> None:
    """The model repository, as the command makes it."""
    export = pytest.importorskip("inyeon.inference.export")
    export.export(MODELS, target, backend="python")


def _start_or_skip(start: Callable[[], None]) -> None:
    try:
        start()
    except EngineMissing as missing:
        pytest.skip(str(missing))
