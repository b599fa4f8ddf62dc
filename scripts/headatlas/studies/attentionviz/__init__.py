"""Query/key scaling and joint embeddings (Chen, section 1; Yeh et al. 2023)."""
