"""Search for a translation over the decoder contract: `start`, `step`, and a state whose rows can be selected."""

DEFAULT_BEAM = 5  # hypotheses, where people are translated for
