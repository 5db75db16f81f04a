"""NCCL on a GPU, with one process: the losses of a training without it. Two GPUs train as two processes do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from attentio.corpora.small_world.sampling import sampled

GPUS = torch.cuda.device_count()
PROGRAM = """
import os, sys
from pathlib import Path
import torch, torch.distributed as dist
from attentio.train.distributed import ProcessGroup
from attentio.train.layout import Replicated, Sharded
from attentio.train.run import run_training
from attentio.train.settings import effective_config

pairs, out, layout = sys.argv[1:]
settings = {
    "data": {"train": [pairs], "source_tokenizer": "word"},
    "model": {"dropout": 0.0},
    "train": {"max_steps": 20, "batch_tokens": 256, "evaluate_pairs": 10, "device": "cuda", "precision": "fp32"},
}
config = effective_config(preset="cnn-tiny", settings=settings)
if layout == "none":
    run_training(config, Path(out))
else:
    dist.init_process_group("nccl", init_method=f"file://{out}.meeting", rank=0, world_size=1)

    class Meeting(ProcessGroup):
        def begin(self, wanted):
            return wanted

    run_training(config, Path(out), ranks=Meeting({"whole": Replicated, "shares": Sharded}[layout]()))
    dist.destroy_process_group()
"""


def losses(out: Path) -> list[float]:
    events = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]


@pytest.mark.gpu
@pytest.mark.skipif(GPUS == 0, reason="there is no CUDA device")
def test_one_process_of_nccl_learns_what_one_without_it_does(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sampled(240)), encoding="utf-8")
    for layout in ("none", "whole", "shares"):
        subprocess.run([sys.executable, "-c", PROGRAM, pairs, tmp_path / layout, layout], check=True)
        assert losses(tmp_path / layout) == pytest.approx(losses(tmp_path / "none"), abs=1e-3)


@pytest.mark.gpu
@pytest.mark.skipif(GPUS < 2, reason="there are no two CUDA devices")
def test_two_gpus_learn_what_one_does(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"{pair.source}\t{pair.target}\n" for pair in sampled(240)), encoding="utf-8")
    command = [sys.executable, "-m", "attentio", "train", pairs, "--preset", "cnn-tiny", "-o", "train.max_steps=20"]
    command += ["-o", "model.dropout=0.0", "-o", "train.precision=fp32", "-o", "train.batch_tokens=256"]
    for number in (1, 2):
        words = [*command, "--out", tmp_path / str(number), "--processes", str(number)]
        subprocess.run(words, check=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": "0,1"[: 2 * number - 1]})
    assert losses(tmp_path / "2") == pytest.approx(losses(tmp_path / "1"), abs=1e-3)


def test_the_program_for_a_gpu_is_python() -> None:
    compile(PROGRAM, "program", "exec")
