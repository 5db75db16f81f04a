"""What a translator is worth, in numbers: quality of text, of word alignment, focus of attention, significance.

Each module is imported by its own name, so that measuring links does not load what measures text. Nothing here needs a
model: texts, links and traces come in, frozen results with the way they were made go out.
"""
