from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from netwright.client.http.models import QualityValue
from netwright.progress import duration
from netwright.verdict import Checked, final_line

GOOD = Checked(accuracy=348 / 360, images=360, latency_ms=0.064, raw_p50_ms=0.11, rounds=24, verdict="good")


def ends(checked: Checked = GOOD, *, promised: float = 348 / 360, parity: Any = None) -> tuple[str, int]:
    quality = QualityValue(
        metric="accuracy", value=promised, standard_error=0.01, n=360, split="test", precision="fp32"
    )
    pick = SimpleNamespace(quality=quality)
    export = SimpleNamespace(parity=parity or {"max_error": 3e-7, "tolerance": 1e-4})
    return final_line(0.066, pick, export, checked)  # type: ignore[arg-type]


def changed(**values: Any) -> Checked:
    return Checked(**{**asdict(GOOD), **values})


def test_the_line_of_a_kept_promise() -> None:
    line, status = ends()
    assert line == (
        "limit latency_ms <= 0.066, measured 0.064 (reference-corrected; raw p50 0.11, n=24), "
        "accuracy 0.967 ± 0.009 on 360 test images, parity 3e-07"
    )
    assert status == 0


@pytest.mark.parametrize(("latency", "status"), [(0.066, 0), (0.0725, 0), (0.0727, 1), (1.0, 1)])
def test_a_good_measurement_may_be_ten_percent_over(latency: float, status: int) -> None:
    assert ends(changed(latency_ms=latency))[1] == status


@pytest.mark.parametrize("verdict", ["noisy", "contended", "refused"])
def test_noise_is_named_and_fails_nothing(verdict: str) -> None:
    line, status = ends(changed(latency_ms=None if verdict == "refused" else 1.0, verdict=verdict))
    assert "not verified: noise" in line
    assert status == 0


@pytest.mark.parametrize("verdict", ["good", "noisy"])
def test_accuracy_and_parity_fail_whatever_the_noise(verdict: str) -> None:
    assert ends(changed(verdict=verdict), promised=350 / 360)[1] == 1
    assert ends(changed(verdict=verdict), promised=349 / 360)[1] == 0
    assert ends(changed(verdict=verdict), parity={"max_error": 2e-4, "tolerance": 1e-4})[1] == 1
    assert ends(changed(verdict=verdict), parity={"max_error": None})[1] == 1
    assert ends(changed(verdict=verdict, images=100, accuracy=0.9))[1] == 1


def test_a_file_that_cannot_be_run_fails() -> None:
    line, status = ends(changed(latency_ms=None, verdict="unsupported", error="no such operator"))
    assert "no such operator" in line
    assert status == 1


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (0.4, "0 s"), (41, "41 s"), (125, "2 min 05 s"), (11_520, "3 h 12 min")],
)
def test_durations(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words
