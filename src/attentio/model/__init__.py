"""Encoder–decoder models: embeddings in, logits out, and any `attentio.attention.Attention` in between."""
