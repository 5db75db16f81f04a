"""Markdown: markup, code and targets stay, and markdown-it-py sees the same structure afterwards."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from attentio.documents import translate_document

Translate = Callable[..., Any]
PAGE = """---
title: hello
---
# Title #

> Quote **bold** and `code`
> more [here](http://a.org/b_(c) "t").

- [ ] a task with *one* word
  continued
1. snake_case and 2 \\* 3 &amp; <kbd>x</kbd>

| a \\| b | **c** |
|---|:-:|
| `d` | [e](f) and e |

One{spaces}
two\\
three

```python
hello()
```

    code

<div>
hello
</div>

[ref]: http://x "hello"

See [ref], [this][ref], ![alt](a.png), [^1] and [brackets]. <http://a.org/hello> $x^2$

Set
===
""".replace("{spaces}", "  ")


def test_only_text_is_translated(shout: Translate) -> None:
    done = translate_document(PAGE.encode(), ".md", shout)
    expected = (
        PAGE.replace("# Title", "# TITLE")
        .replace("Quote **bold** and `code`\n> more [here](", "QUOTE **BOLD** AND `code` MORE [HERE](")
        .replace("a task with *one* word\n  continued", "A TASK WITH *ONE* WORD CONTINUED")
        .replace("snake_case and 2 \\* 3 &amp; ", "SNAKE_CASE AND 2 \\* 3 & ")
        .replace("<kbd>x<", "<kbd>X<")
        .replace("a \\| b | **c**", "A \\| B | **C**")
        .replace("[e](f) and e", "[E](f) AND E")
        .replace("One  \ntwo\\\nthree", "ONE  \nTWO\\\nTHREE")
        .replace("See [ref], [this][ref],", "SEE [ref], [THIS][ref],")
        .replace("and [brackets].", "AND \\[BRACKETS\\].")
        .replace("\nSet\n", "\nSET\n")
    )
    assert done.content.decode() == expected
    assert (done.segments, done.lost) == (12, ())


@pytest.mark.parametrize(
    ("text", "answer", "expected"),
    [
        ("Hello", "1. a", "1\\. a\n"),
        ("Hello", "x __a_b__", "x \\_\\_a_b\\_\\_\n"),
        ("Hello", "- a", "\\- a\n"),
        ("Hello", "# a * b_c _d_ <e> [f] `g`", "\\# a \\* b_c \\_d\\_ \\<e> \\[f\\] \\`g\\`\n"),
        ("**Hello** you", "you <g1>there</g1>", "you **there**\n"),
        ("**Hello** you", "you", "**you**\n"),
    ],
)
def test_what_is_written_is_text(into: Any, text: str, answer: str, expected: str) -> None:
    assert translate_document(f"{text}\n".encode(), ".md", into(answer)).content.decode() == expected


BITS = ["a", "Hello", " ", "\n", "\n\n", "*", "**", "_", "`", "[", "]", "](b)", "![", "\\", "\\*", "# ", "> ", "- "]
BITS += ["1. ", "    ", "|", "\n|---|---|\n", "<b>", "</b>", "<!-- ", "-->", "&amp;", "---\n", "```\n", "~~", "\t"]
BITS += ["[a]: b\n", "$", "\r\n", "我", "  \n", "\\\n"]
pages = st.lists(st.sampled_from(BITS), max_size=25).map("".join)


@given(pages)
def test_unchanged_text_keeps_every_byte(page: str) -> None:
    assert translate_document(page.encode(), ".md", list).content.decode() == page


@given(pages)
def test_translated_it_has_the_same_blocks(page: str) -> None:
    page = page.replace("\r\n", "\n")
    done = translate_document(page.encode(), ".md", lambda texts: [text.replace("Hello", "Servus") for text in texts])
    parse = MarkdownIt("commonmark").enable("table").parse
    assert [token.type for token in parse(done.content.decode())] == [token.type for token in parse(page)]
