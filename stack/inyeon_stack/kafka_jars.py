"""Brings the broker's jars by Maven and believes only what the lock file names."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from inyeon_stack.errors import EngineFailed, EngineMissing
from inyeon_stack.java import find_java
from inyeon_stack.places import kafka_libs

ENGINE = "kafka"
POM = Path(__file__).with_name("kafka_pom.xml")
LOCK = Path(__file__).with_name("kafka_jars.sha256")
DOWNLOAD_S = 600.0  # 43 MB and Maven's own plugins, at 100 kB/s


def install() -> Path:
    """The folder of jars, brought now if need be. Raises EngineMissing without Maven or Java,
    EngineFailed where the download fails or differs from the lock.
    """
    find_java(ENGINE)
    libs = kafka_libs()
    stamp = libs / ".verified"
    libs.parent.mkdir(parents=True, exist_ok=True)
    with (libs.parent / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two that start at once download once
        if not stamp.exists() or stamp.read_text() != LOCK.read_text():
            _bring(libs)
            stamp.write_text(LOCK.read_text())
    return libs


def verify(libs: Path) -> None:
    """Raises EngineFailed unless the folder holds exactly the jars of the lock file."""
    wanted = dict(_entry(line) for line in LOCK.read_text().splitlines())
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in libs.glob("*.jar")}
    wrong = sorted(name for name in wanted.keys() | found if wanted.get(name) != found.get(name))
    if wrong:
        raise EngineFailed(ENGINE, f"jars differ from {LOCK.name}: {', '.join(wrong)}")


def _bring(libs: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        reason = (
            "`mvn` is not on the PATH, and Kafka comes through Maven (Debian: apt install maven)"
        )
        raise EngineMissing(ENGINE, reason)
    draft = libs.with_name("libs.new")
    shutil.rmtree(draft, ignore_errors=True)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={draft}"]
    ran = subprocess.run(  # noqa: S603 - our own pom
        [maven, "--batch-mode", "--quiet", "--file", str(POM), *goal],
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_S,
        check=False,
    )
    if ran.returncode != 0:
        tail = "\n".join((ran.stdout + ran.stderr).splitlines()[-15:])
        raise EngineFailed(ENGINE, "Maven could not bring the jars", tail)
    verify(draft)
    shutil.rmtree(libs, ignore_errors=True)
    draft.rename(libs)


def _entry(line: str) -> tuple[str, str]:
    digest, name = line.split()
    return name, digest
