"""Installs a package in Argos Translate and translates with it: run by test_argos.py in a process of its own.

python argos_reads.py PACKAGES PACKAGE < sentences as JSON > translations as JSON

Argos fetches what cuts text into sentences from the network. Here each line is one sentence.
"""

import json
import sys

sys.path.append(sys.argv[1])

import argostranslate.package
import argostranslate.translate


class Lines:
    """Cuts a text into its lines."""

    def split_sentences(self, text: str) -> list[str]:
        return text.split("\n")


argostranslate.package.install_from_path(sys.argv[2])
languages = {language.code: language for language in argostranslate.translate.get_installed_languages()}
translation = languages["en"].get_translation(languages["zh"])
translation.underlying.sentencizer = Lines()
found = [translation.translate(sentence) for sentence in json.load(sys.stdin)]
json.dump([{"names": [languages[code].name for code in ("en", "zh")], "text": text} for text in found], sys.stdout)
