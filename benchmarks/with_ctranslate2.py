"""What CTranslate2 has no command of its own for, through its public interface; run by the interpreter it lives in.

python with_ctranslate2.py convert CHECKPOINT FOLDER        # of a Transformer that OpenNMT-py trained
python with_ctranslate2.py translate FOLDER SOURCE OUT [--beam 5] [--arithmetic int8] ...
"""

import argparse
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any


def convert(checkpoint: Path, folder: Path) -> None:
    """The same weights in its own format."""
    import torch

    converters = import_module("ctranslate2.converters")
    # Its converter reads weights and plain values only, and knows this attention by its older name.
    torch.serialization.add_safe_globals([argparse.Namespace])
    held: dict[str, Any] = torch.load(checkpoint, map_location="cpu", weights_only=True)
    held["opt"].self_attn_type = "scaled-dot"
    with tempfile.TemporaryDirectory() as temporary:
        mended = Path(temporary) / checkpoint.name
        torch.save(held, mended)
        converters.OpenNMTPyConverter(str(mended)).convert(str(folder), force=True)


def translate(arguments: argparse.Namespace) -> None:
    """A file of tokens into another."""
    translator = import_module("ctranslate2").Translator(
        str(arguments.model),
        device="cpu",
        compute_type=arguments.arithmetic,
        inter_threads=arguments.threads,  # faster here than more threads for one batch
        intra_threads=1,
    )
    translator.translate_file(
        str(arguments.source),
        str(arguments.out),
        beam_size=arguments.beam,
        max_batch_size=arguments.batch,
        batch_type="examples",
        max_decoding_length=arguments.max_length,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    converting = verbs.add_parser("convert")
    converting.add_argument("checkpoint", type=Path)
    converting.add_argument("folder", type=Path)
    translating = verbs.add_parser("translate")
    for name in ("model", "source", "out"):
        translating.add_argument(name, type=Path)
    translating.add_argument("--beam", type=int, default=1)
    translating.add_argument("--batch", type=int, default=32)
    translating.add_argument("--max-length", type=int, default=60)
    translating.add_argument("--threads", type=int, default=1)
    translating.add_argument("--arithmetic", default="float32")
    arguments = parser.parse_args()
    if arguments.verb == "convert":
        convert(arguments.checkpoint, arguments.folder)
    else:
        translate(arguments)


if __name__ == "__main__":
    main()
