"""Which heads of independently trained networks correspond: kinds, partners, and how firmly both are known."""
