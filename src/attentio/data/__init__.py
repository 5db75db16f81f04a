"""Text to token ids to batches: reading, cleaning, splitting, tokenizing and batching parallel corpora."""
