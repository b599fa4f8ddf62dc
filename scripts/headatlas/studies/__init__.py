"""The four studies, a package each; none imports another."""
