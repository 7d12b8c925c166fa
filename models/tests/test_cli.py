from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from inyeon_models import cli, paths
from inyeon_models.__main__ import main

pytestmark = pytest.mark.integration


def _links(built: Path, folder: Path) -> Path:
    """A folder that looks like the built one; files can be replaced one by one."""
    shutil.copytree(built, folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    return folder


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(cli.app, ["--help"])
    assert all(name in result.output for name in ("build", "verify", "recall", "overlap"))


def test_a_finished_build_says_so_in_json(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["build", "--only", "selfie-segmentation", "--out", str(built), "--json"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 0
    (file,) = json.loads(result.stdout)["files"]
    assert (file["file"], file["fresh"]) == ("selfie_segmentation.tflite", False)


def test_a_truncated_model_file_is_refused_by_name(built: Path, tmp_path: Path) -> None:
    folder = _links(built, tmp_path / "models")
    broken = folder / "selfie_segmentation.tflite"
    data = broken.read_bytes()
    broken.unlink()
    broken.write_bytes(data[: len(data) // 2])
    arguments = ["verify", "--only", "selfie-segmentation", "--out", str(folder), "--json"]
    result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 1
    (check,) = json.loads(result.stdout)["checks"]
    assert not check["passed"]
    assert check["problem"].startswith("selfie_segmentation.tflite: refused, sha256 is ")


def test_verify_shows_a_table(built: Path) -> None:
    arguments = ["verify", "--only", "face-detection-short-range", "--out", str(built)]
    result = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "140"})
    assert result.exit_code == 0
    assert "face_detection_short_range.tflite" in result.stdout


def test_an_expected_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["inyeon-models", "build", "--only", "nothing"])
    monkeypatch.setenv("INYEON_CACHE_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 1
    assert "no product is called nothing" in capsys.readouterr().err


def test_recall_prints_its_table(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sets = tmp_path / "translation" / "tatoeba-dev"
    sets.mkdir(parents=True)
    (sets / "eng-spa.eng").write_text("I like dogs.\nThe house is red.\nIt rains.\n", "utf-8")
    spanish = "Me gustan los perros.\nLa casa es roja.\nLlueve.\n"
    (sets / "eng-spa.spa").write_text(spanish, "utf-8")
    arguments = ["recall", "--out", str(built), "--data", str(tmp_path)]
    machine = json.loads(CliRunner().invoke(cli.app, [*arguments, "--json"]).stdout)
    assert machine["rows"][0]["recall_at_10"] == 1.0
    table = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "140"})
    assert "chosen" in table.stdout


def test_overlap_prints_its_table(built: Path, tmp_path: Path) -> None:
    arguments = ["overlap", "--out", str(built), "--data", str(tmp_path)]
    rows = json.loads(CliRunner().invoke(cli.app, [*arguments, "--json"]).stdout)["rows"]
    assert {row["pictures_of"] for row in rows} == {"the clip's end, every frame", "new drawings"}
    assert all(row["overlap_at_10"] > 0.7 for row in rows)
    table = CliRunner().invoke(cli.app, arguments, env={"COLUMNS": "140"})
    assert "overlap@10" in table.stdout


def test_folders_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("INYEON_MODELS_DIR", "INYEON_CACHE_DIR", "INYEON_DATA"):
        monkeypatch.setenv(name, str(tmp_path / name))
    assert paths.default_out() == tmp_path / "INYEON_MODELS_DIR"
    assert paths.default_cache() == tmp_path / "INYEON_CACHE_DIR"
    assert paths.default_data() == tmp_path / "INYEON_DATA"
