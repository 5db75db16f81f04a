"""The settings of the data pipeline, declared once: defaults, bounds and meanings. Imports nothing but pydantic."""

import math
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

TokenizerKind = Literal["auto", "word", "char", "sentencepiece"]


class DataConfig(BaseModel):
    """Which pairs are read, how they are cleaned, split and tokenized."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    train: list[str] = Field(
        default=[],
        description="parallel files (TSV, JSON, TMX, also packed) or built-in corpora: small-world, hsk, demo",
    )
    target: list[str] = Field(
        default=[], description="target-side files, then `train` names the source sides, line by line"
    )
    links: list[str] = Field(
        default=[],
        description="known word links to guide attention, `0-0 1-2` a line: one file for each parallel file, line "
        "by line. Words are separated by white space there",
    )
    links_index: Literal[0, 1] = Field(default=0, description="the words of `links` are counted from 0 or 1")
    learn_links: bool = Field(
        default=False,
        description="learn word links from the pairs themselves (Dyer 2013) to guide attention, where none are known",
    )
    delimiter: str = Field(default="\t", min_length=1, description="what separates the columns")
    columns: str | None = Field(
        default=None,
        description="the two columns to read, by number or by name in the header, such as 2,4. Default: found",
    )
    encoding: str | None = Field(
        default=None, description="encoding of the files. Default: UTF-8, or UTF-16 by its byte order mark"
    )
    swap: bool = Field(default=False, description="read the second column as the source")
    source_language: str | None = Field(default=None, description="language of the source side. Default: guessed")
    target_language: str | None = Field(default=None, description="language of the target side. Default: guessed")
    script: Literal["simplified", "traditional", "keep"] = Field(
        default="simplified", description="script that Chinese text is converted to"
    )
    source_tokenizer: TokenizerKind = Field(default="auto", description="tokens of the source side")
    target_tokenizer: TokenizerKind = Field(default="auto", description="tokens of the target side")
    source_vocab_size: int | None = Field(
        default=None, ge=5, description="tokens in the source vocabulary. Default: chosen from the data"
    )
    target_vocab_size: int | None = Field(
        default=None, ge=5, description="tokens in the target vocabulary. Default: chosen from the data"
    )
    lowercase_source: bool = Field(
        default=False, description="SentencePiece ignores the case of the source: good where words are rare"
    )
    placeholders: bool = Field(
        default=True,
        description="hide numbers, URLs, e-mail addresses, tags, emoji and variables that stand on both sides of a "
        "pair behind placeholders. Translations then keep them exactly. Off where word links are known",
    )
    min_count: int = Field(default=1, ge=1, description="words and characters seen less often in training are unknown")
    max_length: int = Field(default=256, ge=1, description="pairs with more tokens than this on a side are dropped")
    max_ratio: float = Field(
        default=9.0, gt=1, description="pairs whose sides differ more than this in length (UTF-8 bytes) are dropped"
    )
    dev: int | float | str | None = Field(
        default=None,
        description="held out for choosing: pairs, a share below 1, or a file. Default: 5 %, at most 1,000",
    )
    test: int | float | str | None = Field(
        default=None, description="held out for testing: pairs, a share below 1, or a file. Default: 5 %, at most 2,000"
    )
    split_seed: int | None = Field(default=None, ge=0, description="seed of what is held out. Default: train.seed")
    small_world_pairs: int = Field(
        default=15_000, ge=1, description="pairs sampled from the built-in grammar, where it is asked for"
    )
    keep_going: bool = Field(default=False, description="go on although most pairs of a file are unusable")

    @model_validator(mode="after")
    def _check(self) -> "DataConfig":
        if self.target and len(self.target) != len(self.train):
            raise ValueError(f"{len(self.train)} source files but {len(self.target)} target files")
        for name in ("dev", "test"):
            held = getattr(self, name)
            if isinstance(held, int | float) and not (0 <= held < (1 if isinstance(held, float) else math.inf)):
                raise ValueError(f"{name} is a count, a share below 1, or a file")
        return self
