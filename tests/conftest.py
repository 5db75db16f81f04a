"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

if "PYTEST_XDIST_WORKER" in os.environ:  # before torch is imported, and for every process that a test starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# On a busy machine any example of a property can take any time.
settings.register_profile("attentio", deadline=None)
settings.load_profile("attentio")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora that stands beside the checkout; tests that need it skip where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"real corpora are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder after a few updates on 300 pairs of the small world: it translates, badly. Not to be changed."""
    from attentio.config import effective_config
    from attentio.run.training import run_training

    settings = {
        "data": {"train": ["small-world"], "small_world_pairs": 300},
        "train": {"max_steps": 20, "evaluate_pairs": 5, "warmup_steps": 5},
    }
    run = tmp_path_factory.mktemp("tiny") / "run"
    run_training(effective_config(preset="tiny", settings=settings), run)
    return run
