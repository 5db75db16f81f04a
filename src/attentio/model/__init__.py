"""Encoder–decoder models: embeddings in, logits out; any `attentio.attention.Attention` in between."""
