"""Text rules that translating needs: scripts, cleaning, tokenizers."""
