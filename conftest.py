"""For every test: one kind each, and a count of the real engines that took part.

A test that needs a real engine says so by `@pytest.mark.engine("apertium")`. A whole run under CI
fails when one of ENGINES took part in no passed test.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator

import pytest

KINDS = {"unit", "contract", "integration", "e2e", "chaos", "load"}
ENGINES = ("onnxruntime", "litert", "aiortc", "apertium", "sqlite", "grpc")
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
