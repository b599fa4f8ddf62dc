"""Text and tokens: corpora, tokenizers, windows, n-gram baselines."""
