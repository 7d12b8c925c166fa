"""Where Apertium is, and how it gets there: with made-up trees and made-up apt programs."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from inyeon.translation.adapters import apertium_install as install
from inyeon.translation.adapters import apertium_place
from inyeon.translation.adapters.apertium_place import ApertiumPlace, find, tools_root
from inyeon.translation.errors import EngineUnavailable

pytestmark = pytest.mark.unit

MODE = (
    "lt-proc '/usr/share/apertium/p/a.bin' | apertium-tagger -g $2 '/usr/share/apertium/p/b.prob'"
    " | lt-proc $1 '/usr/share/apertium/p/c.bin'"
)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Apertium and without programs; returns its folder of programs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setattr(apertium_place, "SYSTEM", tmp_path / "no-system")
    monkeypatch.setenv("PATH", str(programs))
    return programs


def tree(root: Path, **modes: str) -> Path:
    folder = root / "usr/share/apertium/modes"
    folder.mkdir(parents=True)
    for name, text in modes.items():
        (folder / f"{name.replace('_', '-')}.mode").write_text(text)
    return root


def program(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_only_pairs_among_the_languages_that_can_stay_open(tmp_path: Path) -> None:
    root = tree(tmp_path, eng_spa=MODE, nld_afr=MODE, es_pt="gawk x | lt-proc y", fra_spa="")
    assert ApertiumPlace(root).routes() == {
        ("en", "es"): ApertiumPlace(root).modes_dir / "eng-spa.mode"
    }


def test_stages_follow_the_recipe(tmp_path: Path) -> None:
    root = tree(tmp_path, eng_spa=MODE)
    (root / "usr/bin").mkdir()
    for name in ("lt-proc", "apertium-tagger"):
        program(root / "usr/bin", name, "exit 0")
    place = ApertiumPlace(root)
    first, second, third = place.stages(place.routes()["en", "es"])
    share = root / "usr/share/apertium/p"
    assert first == [str(root / "usr/bin/lt-proc"), "-z", str(share / "a.bin")]
    assert second[1:] == ["-z", "-g", str(share / "b.prob")]
    assert third[1:] == ["-z", "-g", str(share / "c.bin")]


def test_a_missing_program_is_unavailable(alone: Path, tmp_path: Path) -> None:
    place = ApertiumPlace(tree(tmp_path / "t", eng_spa=MODE))
    with pytest.raises(EngineUnavailable, match="lt-proc"):
        place.stages(place.routes()["en", "es"])


def test_only_a_tree_of_its_own_gets_its_own_libraries(tmp_path: Path) -> None:
    (tmp_path / "usr/lib/x86_64-linux-gnu").mkdir(parents=True)
    own = ApertiumPlace(tmp_path).environment()
    assert own["LD_LIBRARY_PATH"].endswith("x86_64-linux-gnu")
    assert "LD_LIBRARY_PATH" not in ApertiumPlace(Path("/")).environment()


def test_the_given_tree_comes_first(alone: Path, tmp_path: Path) -> None:
    assert find(None, tmp_path / "tools") is None
    tools = tree(tools_root(tmp_path / "tools"), es_pt=MODE)
    assert find(None, tmp_path / "tools") == ApertiumPlace(tools)
    given = tree(tmp_path / "given", eng_spa=MODE)
    assert find(given, tmp_path / "tools") == ApertiumPlace(given)


def test_without_apt_it_is_absent_and_says_why(alone: Path, tmp_path: Path) -> None:
    status = install.ensure_apertium(tmp_path / "tools")
    assert not status.available and status.source == "none" and "apt-get" in status.reason


def test_an_apt_that_fails_is_told(alone: Path, tmp_path: Path) -> None:
    program(alone, "apt-get", "echo 'E: no network' >&2; exit 100")
    program(alone, "dpkg-deb", "exit 0")
    status = install.ensure_apertium(tmp_path / "tools")
    assert not status.available and "E: no network" in status.reason
    assert not tools_root(tmp_path / "tools").exists()


def test_an_apt_that_hangs_is_stopped(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "STEP_S", 0.2)
    program(alone, "apt-get", "exec /bin/sleep 30")
    program(alone, "dpkg-deb", "exit 0")
    status = install.ensure_apertium(tmp_path / "tools")
    assert "took more than" in status.reason


def test_packages_without_a_pair_are_told(alone: Path, tmp_path: Path) -> None:
    program(alone, "apt-get", "echo \"'http://x/a_1_all.deb' a_1_all.deb 1 SHA256:0\"")
    program(alone, "dpkg-deb", "exit 0")
    assert "no usable pair" in install.ensure_apertium(tmp_path / "tools").reason


def test_a_pair_that_does_not_run_is_absent(alone: Path, tmp_path: Path) -> None:
    tree(tools_root(tmp_path / "tools"), eng_spa=MODE)
    status = install.ensure_apertium(tmp_path / "tools")
    assert not status.available and "does not run" in status.reason


def test_another_pair_than_the_known_ones_is_believed(alone: Path, tmp_path: Path) -> None:
    tree(tools_root(tmp_path / "tools"), fra_spa=MODE)
    status = install.ensure_apertium(tmp_path / "tools")
    assert status.available and status.pairs == ("fr-es",)


def test_two_installs_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "LOCK_S", 0.3)
    with (
        install._locked(tmp_path / "lock"),
        pytest.raises(install.InstallFailed, match="another install"),
        install._locked(tmp_path / "lock"),
    ):
        pass


def test_what_the_command_says(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert install.main(["--tools", str(tmp_path), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["available"] is False
    assert install.main(["--tools", str(tmp_path)]) == 1
    assert "absent" in capsys.readouterr().out


@pytest.mark.engine("apertium")
def test_what_is_installed_here_works(place: ApertiumPlace) -> None:
    status = install.ensure_apertium(Path(os.devnull), place.root)
    assert status.available and "en-es" in status.pairs and status.root == str(place.root)
    assert "en-es" in install._sentence(status)
