"""``plateward policy`` where no platform runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from clients.cli.main import app

SAMPLES = Path(__file__).resolve().parents[3] / "services" / "access" / "samples"
RUN = CliRunner()


@pytest.mark.req("R-ACC-7")
@pytest.mark.req("R-RET-1")
def test_the_seeds_policy_is_refused_and_both_clauses_are_named() -> None:
    done = RUN.invoke(app, ["policy", "lint", str(SAMPLES / "elk-grove-pd-as-written.yaml")])
    assert done.exit_code == 1
    for clauses in (
        "portal.retention ↔ 462.4", "portal.hotlist ↔ 462.3(f)", "462.5(a) ↔ Civil Code 1798.90.52(a)", "portal.sharing ↔ 462.7",
        "Civil Code 1798.90.51(b)(2)(F) ↔ accuracy",
    ):  # fmt: skip
        assert clauses in done.output


def test_the_shipped_policy_passes(tmp_path: Path) -> None:
    sample = SAMPLES / "elk-grove-pd.yaml"
    assert RUN.invoke(app, ["policy", "lint", str(sample)]).exit_code == 0
    done = RUN.invoke(app, ["policy", "test", str(sample)])
    assert done.exit_code == 0
    assert "0 not as published" in done.output
    silver = tmp_path / "silver.yaml"
    silver.write_text(
        sample.read_text(encoding="utf-8").replace("[girlfriend,", "[silver, girlfriend,"), encoding="utf-8"
    )
    failed = RUN.invoke(app, ["policy", "test", str(silver)])
    assert failed.exit_code == 1
    assert "is published" in failed.output


def test_what_cannot_be_used_is_said_in_a_sentence(tmp_path: Path) -> None:
    junk = tmp_path / "junk.yaml"
    junk.write_text("a: [", encoding="utf-8")
    assert RUN.invoke(app, ["policy", "lint", str(junk)]).exit_code == 1
    assert RUN.invoke(app, ["policy", "test", str(junk)]).exit_code == 2
    tests = tmp_path / "tests.yaml"
    text = (SAMPLES / "elk-grove-pd.yaml").read_text(encoding="utf-8")
    tests.write_text(
        text + "  - {name: unknown action, action: ACTION_FLY, effect: deny, rule: x.y}\n", encoding="utf-8"
    )
    done = RUN.invoke(app, ["policy", "test", str(tests)])
    assert done.exit_code == 1
    assert "unknown action" in done.output
