"""Cells on a local Ray cluster of two workers, one of which is killed."""

import pytest

from co2s.engine.runner.ray_pool import RayPool

ray = pytest.importorskip("ray", reason="ray is an extra of its own")


@pytest.fixture
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def test_every_cell_is_made_once_and_a_lost_worker_s_again(stubbed, cluster):
    bench = stubbed.bench("OnlySup", "Co2S", "FixMatch")
    behaviour = {"OnlySup": "die", "Co2S": "fail", "FixMatch": ""}
    stubbed.prepare(bench, behaviour=lambda cell: behaviour[cell.entry.method])
    said = []
    pool = RayPool()
    assert pool.free == 2
    outcome = stubbed.run(bench, pool=pool, say=said.append)
    assert [*outcome.failed] == ["Co2S, seed 0"]
    assert "stub: the disk is gone" in outcome.failed["Co2S, seed 0"]
    assert "OnlySup, seed 0: its worker was lost: again elsewhere" in said
    # The process that outlived its worker made the cell: nobody started it again.
    assert sorted(stubbed.started()) == ["Co2S_seed0", "FixMatch_seed0", "OnlySup_seed0"]
    assert (stubbed.output / "OnlySup_seed0" / "report.json").is_file()
