"""docs/models.md: what can be had of every language-model type of the installed transformers, as `every_type` finds it.

`python tests/samples/models_page.py` writes it, in about four minutes; tests hold its rows against what is found.
"""

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "tests" / "samples")]

import transformers  # noqa: E402

import every_type  # noqa: E402
import tiny_models  # noqa: E402

PAGE = ROOT / "docs" / "models.md"
PATTERNS, OTHERS = 1e-5, 1e-4  # largest differences that are none: of attention, and of logits and matrices
# What differs from zeroing a slice of the projection's input, and how.
OTHERWISE = {"bitnet": "ahead of the norm behind the heads"}
_HEAD = """# Model types

What can be had of each language-model type of `transformers` {version}: {supported} of {total} pairs of type and task
are supported, {matrices} of them with head weights; {refused} are refused with a line that says why, and of {untried}
no tiny model could be made here. This page is made by `python tests/samples/models_page.py`, and `make test-long`
holds every row against what is found.

Each type was made from its configuration: 3 layers of 4 heads with random weights. Held against the model of
`transformers` itself, under its eager attention:

- **patterns** equal `output_attentions` to 1e-5, in windows of 14 tokens (sliding windows see 4, sparse attention
  chooses 4), without padding, with padding on the left and on the right;
- **ablation**: logits without each head equal those of zeroing its slice of what the output projection reads, to 1e-4;
- **head weights**: queries, keys and what heads write, rebuilt from W_Q, W_K, W_V and W_O, equal the model's, up to
  what its norms divide by, to 1e-4;
- **besides q.k**: what enters the scores in such windows besides q.k times the scaling. Tables of queries and keys
  name it among their facts.

Encoders as causal models (`bert` and its kin) need `is_decoder: true` in config.json; encoder-decoders are refused,
their decoders saved by themselves are not. "own code": the type does not call transformers' attention functions, and
the operations that it calls are watched. Models whose layers differ, or of which only some layers attend, are refused.
"""


def row(kind, task, found):
    """One line of the page: of a type that is supported, refused, or could not be made."""
    if "line" in found:
        return f"| {kind} | {task} | {_reason(found['line'])} |"
    seen = "own code" if found["own_code"] else "yes"
    given = [found[name] for name in ("patterns", "left", "right")]
    patterns = "as it computes them" if isinstance(given[0], str) else _small(max(given), PATTERNS)
    patterns = f"{patterns}, {seen}" if seen == "own code" else patterns
    zeroed = "not compared" if isinstance(found["zeroed"], str) else _small(found["zeroed"], OTHERS)
    zeroed = OTHERWISE.get(kind, zeroed) if zeroed == "NO" else zeroed
    matrices = _reason(found["qk"]) if isinstance(found["qk"], str) else _small(max(found["qk"], found["ov"]), OTHERS)
    return f"| {kind} | {task} | {patterns} | {zeroed} | {matrices} | {'; '.join(found['other_terms'])} |"


def _small(difference, bound):
    return "yes" if difference <= bound else "NO"


def _reason(line):
    """What a refusal says, without the name of the type and the advice that is the same for all."""
    line = re.sub(r"^(.*cannot be (taken|had), |model type '[^']*':? )", "", line)
    return line.split("; ")[0].replace("|", "/")


def page(rows):
    """The page from the rows of all types, each with what was found."""
    supported = [(line, found) for line, found in rows if "line" not in found]
    untried = [line for line, found in rows if "no tiny model" in found.get("line", "")]
    refused = [line for line, found in rows if "line" in found and line not in untried]
    matrices = sum(not isinstance(found["qk"], str) for _, found in supported)
    counts = {"supported": len(supported), "total": len(rows), "refused": len(refused), "untried": len(untried)}
    parts = [_HEAD.format(version=transformers.__version__, matrices=matrices, **counts)]
    parts += [
        "## Supported\n",
        "| type | task | patterns | ablation | head weights | besides q.k |",
        "|---|---|---|---|---|---|",
    ]
    parts += [line for line, _ in supported]
    parts += ["\n## Refused\n", "| type | task | why |", "|---|---|---|", *refused]
    parts += ["\n## Not tried\n", "| type | task | why |", "|---|---|---|", *untried]
    return "\n".join(parts) + "\n"


def find(kind, task):
    """What is found of one type, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        return every_type.examine(kind, task, Path(folder))


if __name__ == "__main__":
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    gathered = []
    for kind, task in tiny_models.types():
        found = find(kind, task)
        gathered.append((row(kind, task, found), found))
        print(gathered[-1][0], flush=True)
    PAGE.write_text(page(gathered), encoding="utf-8")
