"""What people's files do to the command line, and what must come of it.

The cases of our own stand in `cases`. Those that stand beside the checkout run, too, where they are. What they must
give is written down here, in the form of `expected` in ours: a status, then what the output holds, or holds not (`!`).
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

Shell = Callable[[str, Path], tuple[int, str]]
CASES = Path(__file__).parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())
STRANGERS = Path(__file__).resolve().parents[2] / "shared" / "cases"
RENAMED = {"attentio.evaluate.quality": "attentio.metrics.quality"}  # modules since those cases were written

KEPT = "status 0\n12 pairs kept\n!internal"
EXPECTED = {
    "blank-lines-at-the-end": f"{KEPT}\n13 blank",
    "bz2": KEPT,
    "compare-on-says-not-what-it-left-out": "status 0\n2 sentences\n8 of 10 test",
    "evaluate-csv-run-tsv-test": "status 0\n12 sentences",
    "evaluate-latin1-run-utf8-test": "status 0\nchrF2\nsame",
    "evaluate-lines-without-tab": "status 0\n6 sentences\n4 of 10 pairs are not scored: 4 one column (first: line 1)",
    "header-en-us-zh-cn": f"{KEPT}\nline 1 is a header",
    "hf-key-order-varies": f"{KEPT}\nsource en,\ntarget zh,",
    "hf-three-languages": "status 3\nen, zh, ja\n--columns",
    "json-deep-arrays": "status 3\npairs.jsonl line 1\n!internal",
    "json-lines-named-json": KEPT,
    "jsonl-half-emoji": "status 0\n13 pairs kept\n!internal",
    "jsonl-text-with-newline": KEPT,
    "language-columns-first": KEPT,
    "mha-integer-padding-mask": "status 1\nTypeError",
    "moses-zip": KEPT,
    "named-columns-with-prompts": "status 0\n6 pairs kept\ncolumns 1 (src) and 3 (trg) are read",
    "nbest-empty-line": "status 0\n0 ||| \n0 ||| \n0 ||| \n1 |||  ||| 0",
    "one-long-latin-line-unmakes-chinese": f"{KEPT}\n1 too long\nsource en,\ntarget zh, char",
    "pass-align-crlf-gold": "status 0\nAER 0.00\n2 sentences",
    "pass-all-padding-row": "status 0\nTrue",
    "pass-bom-and-header": f"{KEPT}\nline 1 is a header",
    "pass-data-changed": "status 3\nchanged since its training began",
    "pass-empty-hypothesis-score": "status 0\n60.65 71.43\n60.65 71.43",
    "pass-gb18030-hint": "status 3\nline\nbyte\n--encoding gb18030",
    "pass-gzip-members": KEPT,
    "pass-one-huge-line": f"{KEPT}\n1 too long",
    "pass-test-inside-train": "status 0\n8 train",
    "pass-tmx-tags-differ": KEPT,
    "pass-tmx-utf16-doctype": f"{KEPT}\nsource en,\ntarget zh,",
    "pass-translate-blank-lines": "status 0\n7",
    "pass-tsv-open-quote": "status 0\n13 pairs kept",
    "pass-two-files-u2028": KEPT,
    "pass-view-dollars": "status 0\ndrawn",
    "tatoeba-export-with-ids": f"{KEPT}\ncolumns 2 and 4 are read",
    "tmx-en-gb-to-en-us": "status 0\n6 pairs kept",
    "tmx-encoding-option": KEPT,
    "tmx-entity-eacute-with-doctype": "status 0\nThe café number 0 is open.",
    "tmx-first-unit-decides": "status 0\n11 pairs kept\n1 language missing",
    "tmx-in-gb2312": KEPT,
    "tmx-ph-line-break-glues-words": "status 0\nTotal weight",
    "tmx-segment-over-two-lines": KEPT,
    "tmx-two-translations-zh": "status 0\n24 pairs kept",
    "tmx-ukrainian-called-russian": "status 0\ntarget uk,",
    "tmx-unknown-encoding": "status 3\nunknown\n!internal",
    "tmx-without-languages": "status 3\nname no language",
    "tmx-zh-tw-asked-zh-cn-given": "status 0\n第0個軟體是新的。",
    "train-all-pairs-too-long": "status 3\n--max-length\n!internal",
    "two-files-trailing-blank-line": KEPT,
}
FAST = ("one-long-line", "pass-tsv-open-quote", "tmx-unknown-encoding")


def missing(expected: str, status: int, output: str) -> list[str]:
    """What `expected` asks for and a command did not give. A line that stands twice must be there twice."""
    wanted, *lines = expected.splitlines()
    found = [] if wanted == f"status {status}" else [f"{wanted}, not {status}"]
    found += [line for line in lines if not line.startswith("!") and output.count(line) < lines.count(line)]
    return found + [line for line in lines if line.startswith("!") and line[1:] in output]


def marked(names: list[str]) -> list[object]:
    return [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in names]


def outcome(case: Path, shell: Shell, folder: Path) -> tuple[int, str]:
    """Status and output of a case, run in a copy of its folder."""
    shutil.copytree(case, folder)
    command = (case / "cmd").read_text(encoding="utf-8")
    for script in folder.glob("*.py"):
        text = script.read_text(encoding="utf-8")
        for former, name in RENAMED.items():
            text = text.replace(former, name)
        script.write_text(text, encoding="utf-8")
    return shell(command, folder)


@pytest.mark.parametrize("name", marked(NAMES))
def test_case(name: str, shell: Shell, tmp_path: Path) -> None:
    status, output = outcome(CASES / name, shell, tmp_path / name)
    assert missing((CASES / name / "expected").read_text(encoding="utf-8"), status, output) == [], output


def test_every_case_of_a_stranger_is_known() -> None:
    """Those of run folders have no command. `train/test_run.py` does by code what they describe."""
    if not STRANGERS.is_dir():
        pytest.skip(f"the cases are not at {STRANGERS}")
    index = (STRANGERS / "INDEX.tsv").read_text(encoding="utf-8").splitlines()[1:]
    names = {line.split("\t")[0] for line in index}
    by_hand = {name for name in names if name.startswith("run-")}
    assert names - by_hand == set(EXPECTED)


@pytest.mark.parametrize("name", marked(list(EXPECTED)))
def test_case_of_a_stranger(name: str, shell: Shell, tmp_path: Path) -> None:
    if not STRANGERS.is_dir():
        pytest.skip(f"the cases are not at {STRANGERS}")
    status, output = outcome(STRANGERS / name, shell, tmp_path / name)
    assert missing(EXPECTED[name], status, output) == [], output
