"""Peers of Attentio as anyone installs them, each in an environment of its own, run through its own commands.

    python benchmarks/peers.py --peers DIR    # makes the environments below DIR; the other scripts do so when needed

Nothing of theirs is imported here: a peer gets a file of settings and files of text, and its output is read.
"""

import argparse
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from measure import Finished, run
from workload import BATCH_SENTENCES, LEARNING_RATE, Point, Training, Workload

MAX_LENGTH = 60  # tokens after which a peer's translation is cut off
REPORT_EVERY = 10  # updates

_TORCH = "torch==2.13.0"
# Peers older than torch 2.6 keep their options in their checkpoints, which later versions of torch refuse to read.
_ENVIRONMENT = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
_PROGRESS = re.compile(r"Step (\d+)/ *\d+;.*bsz: *\d+/ *(\d+)/ *\d+;")
_PARAMETERS = re.compile(r"number of parameters: (\d+)")
_PERPLEXITY = re.compile(r"Validation perplexity: ([\d.]+)")


class Peer(NamedTuple):
    """What is installed, by these lists of arguments to pip one after the other, and what it can do."""

    name: str
    version: str
    requirements: tuple[tuple[str, ...], ...]
    entry: str | None  # module:function of the command that trains; None: it translates what another has trained
    models: tuple[str, ...] = ("R", "T")

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


# Torch comes first and is named every time, so that no other build of it is resolved.
OPENNMT = Peer(
    "OpenNMT-py",
    "3.5.1",
    (
        (_TORCH, "setuptools<81"),
        ("--no-deps", "opennmt-py==3.5.1"),  # it asks for torch < 2.3
        (
            _TORCH,
            "configargparse",
            "ctranslate2>=4,<5",
            "tensorboard>=2.3",
            "flask",
            "waitress",
            "pyonmttok",
            "sacrebleu",
            "pyyaml",
            "rapidfuzz",
            "six",
            "fasttext-wheel",
            "spacy",
            "pyahocorasick",
        ),
    ),
    "onmt.bin.train:main",
)
EOLE = Peer(
    "Eole",
    "0.6.4",
    ((_TORCH,), (_TORCH, "eole==0.6.4", "aiohttp")),  # aiohttp is imported, not declared
    "eole.bin.main:main",
)
CTRANSLATE2 = Peer("CTranslate2", "4.8", ((_TORCH,), (_TORCH, "ctranslate2>=4.8,<4.9")), None, ("T",))
TRAINERS = (OPENNMT, EOLE)
PEERS = (*TRAINERS, CTRANSLATE2)


class Peers:
    """The peers installed below `folder`, run with so many threads."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        self.folder = folder.resolve()
        self.threads = threads

    def python(self, peer: Peer) -> Path:
        """The interpreter of the peer's environment, which is made where it is not there yet: minutes, gigabytes."""
        home = self.folder / f"{peer.name}-{peer.version}"
        python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        installed = home / "installed.json"
        wanted = json.dumps(peer.requirements)
        if installed.exists() and installed.read_text(encoding="utf-8") == wanted:
            return python
        sys.stderr.write(f"installing {peer} into {home}\n")
        commands = [[sys.executable, "-m", "venv", "--clear", str(home)]]
        commands += [[str(python), "-m", "pip", "install", "--quiet", *arguments] for arguments in peer.requirements]
        for command in commands:
            if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
                raise SystemExit(f"error: {peer} could not be installed.")
        installed.write_text(wanted, encoding="utf-8")
        return python

    def training_command(self, peer: Peer, model: str, workload: Workload, folder: Path, *, steps: int) -> list[str]:
        """Arguments for the peer's entry point that train `model` in `folder` and score dev at the end."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = (_opennmt_settings if peer is OPENNMT else _eole_settings)(model, workload, folder, steps)
        file = folder / "settings.yaml"
        file.write_text(json.dumps(settings, indent=1), encoding="utf-8")  # JSON is YAML
        return [*(["train"] if peer is EOLE else []), "-config", str(file)]

    def train(self, peer: Peer, model: str, workload: Workload, folder: Path, *, steps: int) -> Training:
        """Trains `model` with the peer for so many updates and reads its log."""
        arguments = self.training_command(peer, model, workload, folder, steps=steps)
        return read_log(self._run(peer, [*_call(peer.entry), *arguments]))

    def trained(self, peer: Peer, model: str, workload: Workload, *, steps: int) -> Path:
        """The peer's model after so many updates; trained once and kept. CTranslate2 gets that of OpenNMT-py."""
        folder = workload.models / f"{peer.name}-{model}-{steps}"
        if peer is CTRANSLATE2:
            if not (folder / "model.bin").exists():
                checkpoint = self.trained(OPENNMT, model, workload, steps=steps)
                self._run(peer, [_script("with_ctranslate2.py"), "convert", str(checkpoint), str(folder)])
            return folder
        result = folder / f"model_step_{steps}.pt" if peer is OPENNMT else folder / "model"
        if not result.exists():
            sys.stderr.write(f"training {model} with {peer}: {steps} updates\n")
            self.train(peer, model, workload, folder, steps=steps)
        return result

    def translate(
        self, peer: Peer, model: Path, source: Path, out: Path, *, beam: int, batch: int, arithmetic: str = "float32"
    ) -> Finished:
        """Translates a file of numbers into another; `arithmetic` is for CTranslate2 alone, the others use float32."""
        files = {
            OPENNMT: ["-model", str(model), "-src", str(source), "-output", str(out)],
            EOLE: ["-model_path", str(model), "-src", str(source), "-output", str(out)],
            CTRANSLATE2: [_script("with_ctranslate2.py"), "translate", str(model), str(source), str(out)],
        }[peer]
        if peer is CTRANSLATE2:
            options = ["--beam", beam, "--batch", batch, "--max-length", MAX_LENGTH, "--threads", self.threads]
            return self._run(peer, [*files, *map(str, options), "--arithmetic", arithmetic])
        options = ["-beam_size", beam, "-batch_size", batch, "-batch_type", "sents", "-max_length", MAX_LENGTH]
        if peer is OPENNMT:
            return self._run(peer, [*_call("onmt.bin.translate:main"), *files, *map(str, options), "-gpu", "-1"])
        return self._run(peer, [*_call("eole.bin.main:main"), "predict", *files, *map(str, options)])

    def first_update(self, peer: Peer, model: str, workload: Workload, folder: Path) -> float:
        """Seconds from the command that trains to the end of its first update."""
        assert peer.entry is not None
        arguments = self.training_command(peer, model, workload, folder, steps=10)
        return first_update([str(self.python(peer))], peer.entry, arguments, threads=self.threads)

    def _run(self, peer: Peer, arguments: Sequence[str]) -> Finished:
        command = [str(self.python(peer)), *arguments]
        return run(command, threads=self.threads, environment=_ENVIRONMENT)


def first_update(python: Sequence[str], entry: str, arguments: Sequence[str], *, threads: int) -> float:
    """Seconds from the start of a program that trains with torch to the end of its first update, where it is halted."""
    command = [*python, _script("first_update.py"), entry, *arguments]
    finished = run(command, threads=threads, environment=_ENVIRONMENT)
    return next(seconds for seconds, text in finished.lines if text == "first update")


def read_log(finished: Finished) -> Training:
    """What the log of OpenNMT-py or Eole says: one line every few updates, with the mean size of their batches."""
    course = [Point(0.0, 0, 0)]
    for seconds, text in finished.lines:
        if found := _PROGRESS.search(text):
            step, batch_tokens = map(int, found.groups())
            last = course[-1]
            course.append(Point(seconds, step, last.target_tokens + (step - last.step) * batch_tokens))
    log = [text for _, text in finished.lines]
    return Training(
        finished.seconds,
        finished.peak_bytes,
        course[1:],
        int(_only(_PARAMETERS, log)),
        math.log(float(_only(_PERPLEXITY, log))),
    )


def _only(pattern: re.Pattern[str], log: Iterable[str]) -> str:
    for text in log:
        if found := pattern.search(text):
            return found[1]
    raise SystemExit(f"error: a peer's log has no line like {pattern.pattern!r}.")


def _call(entry: str | None) -> list[str]:
    assert entry is not None
    module, _, function = entry.partition(":")
    return ["-c", f"from {module} import {function}; {function}()"]


def _script(name: str) -> str:
    return str(Path(__file__).resolve().parent / name)


def _files(workload: Workload, folder: Path) -> dict[str, Any]:
    sides = {"path_src": "source", "path_tgt": "target"}
    return {
        "data": {
            name: {key: str(workload.numbers(part, side).resolve()) for key, side in sides.items()}
            for name, part in (("corpus", "train"), ("valid", "dev"))
        },
        "src_vocab": str(workload.numbers("vocab", "source").resolve()),
        "tgt_vocab": str(workload.numbers("vocab", "target").resolve()),
        "save_data": str(folder / "samples"),
        "vocab_size_multiple": 1,
        "overwrite": True,
        "seed": workload.seed,
        "report_every": REPORT_EVERY,
    }


def _training(model: str, steps: int) -> dict[str, Any]:
    return {
        "num_workers": 0,
        "batch_type": "sents",
        "batch_size": BATCH_SENTENCES,
        "valid_batch_size": BATCH_SENTENCES,
        "bucket_size": 20_000,
        "optim": "adam",
        "learning_rate": LEARNING_RATE,
        "decay_method": "none",
        "max_grad_norm": 5,
        "label_smoothing": 0.0,
        "dropout": [0.2 if model == "R" else 0.1],
        **({"attention_dropout": [0.1]} if model == "T" else {}),
        "train_steps": steps,
        "valid_steps": steps,
        "save_checkpoint_steps": steps,
    }


def _opennmt_settings(model: str, workload: Workload, folder: Path, steps: int) -> dict[str, Any]:
    models: dict[str, dict[str, Any]] = {
        "R": {
            "encoder_type": "brnn",
            "decoder_type": "rnn",
            "rnn_type": "LSTM",
            "layers": 1,
            "global_attention": "general",
        },
        "T": {
            "encoder_type": "transformer",
            "decoder_type": "transformer",
            "enc_layers": 3,
            "dec_layers": 3,
            "heads": 4,
            "transformer_ff": 1024,
            "position_encoding": True,
            "param_init_glorot": True,
            "param_init": 0,
        },
    }
    return {
        **_files(workload, folder),
        **_training(model, steps),
        "save_model": str(folder / "model"),
        "word_vec_size": 256,
        "hidden_size": 256,
        **models[model],
    }


def _eole_settings(model: str, workload: Workload, folder: Path, steps: int) -> dict[str, Any]:
    recurrent = {"rnn_type": "LSTM", "layers": 1, "hidden_size": 256}
    models: dict[str, dict[str, Any]] = {
        "R": {
            "architecture": "custom",
            "embeddings": {"src_word_vec_size": 256, "tgt_word_vec_size": 256},
            "encoder": {"encoder_type": "brnn", **recurrent},
            "decoder": {"decoder_type": "rnn", "global_attention": "general", **recurrent},
        },
        "T": {
            "architecture": "transformer",
            "hidden_size": 256,
            "layers": 3,
            "heads": 4,
            "transformer_ff": 1024,
            "embeddings": {"word_vec_size": 256, "position_encoding_type": "SinusoidalInterleaved"},
        },
    }
    training = {"compute_dtype": "fp32", "model_path": str(folder / "model"), **_training(model, steps)}
    if model == "T":
        training["param_init_method"] = "xavier_uniform"
    return {**_files(workload, folder), "training": training, "model": models[model]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, metavar="DIR", help="folder for their environments")
    peers = Peers(parser.parse_args().peers, threads=1)
    for peer in PEERS:
        print(f"{peer}: {peers.python(peer)}")


if __name__ == "__main__":
    main()
