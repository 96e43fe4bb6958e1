"""What a run costs: memory that was used is counted, sleep is no work, energy counters begin anew, boards show ratios."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pytest

import benchmark
from benchmark.runs import cost
from benchmark.runs.store import Store
from leaderboard.board import boards
from leaderboard.render.columns import columns


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_the_peak_is_that_of_the_work_and_not_of_what_was_before() -> None:
    large = np.ones(40_000_000)
    del large
    with cost.measured() as small:
        pass
    with cost.measured() as spent:
        array = np.ones(20_000_000)  # 160 MB
        del array
    if small.peak_memory is None or spent.peak_memory is None:
        pytest.skip("this system lets nobody reset the peak")
    assert 120e6 < spent.peak_memory - small.peak_memory < 300e6


def test_sleep_takes_time_and_no_processor() -> None:
    with cost.measured() as asleep:
        time.sleep(0.3)
    with cost.measured() as busy:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    assert asleep.seconds >= 0.3
    assert asleep.processor_seconds < 0.2 <= busy.processor_seconds + 1e-3
    with pytest.raises(ZeroDivisionError), cost.measured() as failed:
        _ = 1 / 0
    assert failed.seconds > 0


def test_energy_is_that_of_all_packages_and_survives_a_counter_that_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def package(name: str, counted: int) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "energy_uj").write_text(f"{counted}\n")
        (folder / "max_energy_range_uj").write_text("1000000\n")
        return folder

    monkeypatch.setattr(cost, "POWERCAP", tmp_path)
    with cost.measured() as unknown:
        pass
    assert unknown.energy is None
    package("intel-rapl:0", 900_000), package("intel-rapl:1", 100), package("intel-rapl:0:0", 5)
    with cost.measured() as spent:
        package("intel-rapl:0", 400_000), package("intel-rapl:1", 250_100), package("intel-rapl:0:0", 900_000)
    assert spent.energy == pytest.approx(0.75)


def test_one_image_alone_is_asked_a_few_times_and_the_first_does_not_count() -> None:
    asked: list[int] = []

    def ask(i: int) -> None:
        asked.append(i)
        time.sleep(0.05 if len(asked) == 1 else 0.0)

    found = cost.single_ms(ask, 3)
    assert asked == [0, 1, 2, 0]
    assert found is not None
    assert found < 40


def test_runs_say_what_they_cost_and_boards_show_it(tmp_path: Path) -> None:
    table = benchmark.run(["mean", "ridge"], n=40, results=tmp_path, threads=1)
    assert (table["fit_ratio"] > 0).all()
    assert (table["fit_processor_seconds"] > 0).all()
    (board,) = boards(Store(tmp_path))
    by_heading = {column.heading: column for column in columns(board)}
    for row in board.finished:
        known = row.runs[0].record
        assert known.cost.reference_ms is not None
        assert row.fit_ratio == pytest.approx(1000 * (known.fit_seconds or 0) / known.cost.reference_ms)
        assert by_heading["fit / ref"].text(row)
        assert by_heading["ms alone"].text(row)
