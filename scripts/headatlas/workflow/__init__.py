"""What the rules import: configuration, resources, code digests, captions, the summary."""
