"""The settings of the data pipeline, declared once: defaults, bounds and meanings. Imports nothing but pydantic."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TokenizerKind = Literal["auto", "word", "char", "sentencepiece"]


class DataConfig(BaseModel):
    """Which pairs are read, how they are cleaned, split and tokenized."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    train: Annotated[
        list[str],
        Field(description="parallel files (TSV, JSON, TMX, also packed) or built-in corpora: small-world, hsk, demo"),
    ] = []
    target: Annotated[
        list[str], Field(description="target-side files, then `train` names the source sides, line by line")
    ] = []
    links: Annotated[
        list[str],
        Field(
            description="known word links to guide attention, `0-0 1-2` a line: one file for each parallel file, line "
            "by line. Words are separated by white space there"
        ),
    ] = []
    links_index: Annotated[Literal[0, 1], Field(description="the words of `links` are counted from 0 or 1")] = 0
    delimiter: Annotated[str, Field(min_length=1, description="what separates the columns")] = "\t"
    columns: Annotated[
        str | None,
        Field(description="the two columns to read, by number or by name in the header, such as 2,4. Default: found"),
    ] = None
    encoding: Annotated[
        str | None, Field(description="encoding of the files. Default: UTF-8, or UTF-16 by its byte order mark")
    ] = None
    swap: Annotated[bool, Field(description="read the second column as the source")] = False
    source_language: Annotated[str | None, Field(description="language of the source side. Default: guessed")] = None
    target_language: Annotated[str | None, Field(description="language of the target side. Default: guessed")] = None
    script: Annotated[
        Literal["simplified", "traditional", "keep"], Field(description="script that Chinese text is converted to")
    ] = "simplified"
    source_tokenizer: Annotated[TokenizerKind, Field(description="tokens of the source side")] = "auto"
    target_tokenizer: Annotated[TokenizerKind, Field(description="tokens of the target side")] = "auto"
    source_vocab_size: Annotated[
        int | None, Field(ge=5, description="tokens in the source vocabulary. Default: chosen from the data")
    ] = None
    target_vocab_size: Annotated[
        int | None, Field(ge=5, description="tokens in the target vocabulary. Default: chosen from the data")
    ] = None
    lowercase_source: Annotated[
        bool, Field(description="SentencePiece ignores the case of the source: good where words are rare")
    ] = False
    placeholders: Annotated[
        bool,
        Field(
            description="hide numbers, URLs, e-mail addresses, tags, emoji and variables that stand on both sides of a "
            "pair behind placeholders. Translations then keep them exactly. Off where word links are known"
        ),
    ] = True
    min_count: Annotated[
        int, Field(ge=1, description="words and characters seen less often in training are unknown")
    ] = 1
    max_length: Annotated[int, Field(ge=1, description="pairs with more tokens than this on a side are dropped")] = 256
    max_ratio: Annotated[
        float, Field(gt=1, description="pairs whose sides differ more than this in length (UTF-8 bytes) are dropped")
    ] = 9.0
    dev: Annotated[
        int | float | str | None,
        Field(description="held out for choosing: pairs, a share below 1, or a file. Default: 5 %, at most 1,000"),
    ] = None
    test: Annotated[
        int | float | str | None,
        Field(description="held out for testing: pairs, a share below 1, or a file. Default: 5 %, at most 2,000"),
    ] = None
    split_seed: Annotated[int | None, Field(ge=0, description="seed of what is held out. Default: train.seed")] = None
    small_world_pairs: Annotated[
        int, Field(ge=1, description="pairs sampled from the built-in grammar, where it is asked for")
    ] = 15_000
    keep_going: Annotated[bool, Field(description="go on although most pairs of a file are unusable")] = False

    @model_validator(mode="after")
    def _check(self) -> "DataConfig":
        if self.target and len(self.target) != len(self.train):
            raise ValueError(f"{len(self.train)} source files but {len(self.target)} target files")
        for name in ("dev", "test"):
            held = getattr(self, name)
            if isinstance(held, int | float) and not (0 <= held < (1 if isinstance(held, float) else math.inf)):
                raise ValueError(f"{name} is a count, a share below 1, or a file")
        return self
