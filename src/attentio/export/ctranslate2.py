"""A folder for CTranslate2: the model, and beside it what stands around a model, for `attentio import`.

Which settings can leave, and how, is said in `attentio.engines.ctranslate2`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import final

import torch

from attentio.bundle import SIDES, Bundle
from attentio.engines.ctranslate2 import EXPRESSED, CTranslate2, opened, refusals, unavailable, write_model
from attentio.errors import ModelError, ResourceError
from attentio.export.format import Answer, Format, Named, folded, tensors_of
from attentio.foreign.asked import Asked
from attentio.foreign.ctranslate2 import AROUND, MODEL, read
from attentio.model.seq2seq import Seq2Seq
from attentio.runtime.files import write_json
from attentio.search.batched import SearchConfig
from attentio.text.numbered import NumberedTokenizer
from attentio.text.tokenizer import SentencePieceTokenizer
from attentio.translator import Translator


class Searched(Format):
    """What formats have in common that CTranslate2 runs."""

    runtime = "CTranslate2, on a CPU or an NVIDIA GPU"
    precisions = ("fp32", "int8")
    weight_only = False
    own_search = True
    expresses = EXPRESSED

    def refusals(self, bundle: Bundle) -> list[str]:
        return refusals(bundle.architecture)

    def unavailable(self) -> str | None:
        return unavailable()

    def run(self, path: Path, sentences: Sequence[str], *, beam: int, number: int = 0) -> list[Answer]:
        return _answers(path, sentences, beam, precision="stored")

    def run_in_32_bits(self, path: Path, sentences: Sequence[str], *, beam: int) -> list[Answer] | None:
        return _answers(path, sentences, beam, precision="fp32")

    def in_8_bits(self, bundle: Bundle) -> Seq2Seq:
        """Return the model with every matrix rounded as CTranslate2 does it: all but the positions."""
        model = folded(bundle)
        tensors = dict(tensors_of(model).values())
        for name, tensor in tensors.items():
            if tensor.dim() > 1 and not name.endswith(".positions.table"):
                largest = tensor.abs().amax(dim=1, keepdim=True)
                scale = 127 / torch.where(largest > 0, largest, 127)
                tensor.copy_((tensor * scale).round() / scale)
        return model


@final
class CTranslate2Folder(Searched):
    """A folder that CTranslate2 opens."""

    name = "ctranslate2"
    about = "a folder for CTranslate2 and what is built on it"
    mark = MODEL

    def write(self, models: Sequence[Named], path: Path, *, precision: str) -> None:
        bundle = models[0].bundle
        write_model(bundle, path, precision=precision)
        sides = dict(zip(SIDES, (bundle.source, bundle.target), strict=True))
        held = {name: side.save(path / f"{name}.tokenizer") for name, side in sides.items()}
        write_json(path / AROUND, bundle.described(held))
        for name, side in sides.items():
            if isinstance(side.tokenizer, SentencePieceTokenizer | NumberedTokenizer):  # for programs of others
                (path / f"{name}.spm").write_bytes(side.tokenizer.model)


def _answers(folder: Path, sentences: Sequence[str], beam: int, *, precision: str) -> list[Answer]:
    try:
        bundle = read(folder, Asked())
        engine = CTranslate2(bundle, opened(folder, precision=precision))
        translator = Translator(bundle, device="cpu", engine=engine)
    except ModelError as error:
        raise ResourceError(error.message, code="E_EXPORT_RUN", file=folder) from None
    found = translator.translate(sentences, SearchConfig(beam), split=False)
    return [Answer(one.text, one.score, {}) for one in found]
