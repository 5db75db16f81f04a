"""Search for a translation over the decoder contract: `start`, `step`, and a state whose rows can be selected."""
