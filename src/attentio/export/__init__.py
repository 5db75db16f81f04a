"""Models as files that other programs run: one module for each format, and `FORMATS` with all of them.

Every file that is written was run by its own runtime first, and agrees with the model (`parity`). What a format
cannot express is refused by name.
"""

from collections.abc import Mapping

from attentio.export.argos import Argos
from attentio.export.ctranslate2 import CTranslate2Folder
from attentio.export.format import Format
from attentio.export.html import Html, Site
from attentio.export.onnx import Onnx

FORMATS: Mapping[str, Format] = {each.name: each for each in (Html(), Site(), Onnx(), CTranslate2Folder(), Argos())}
