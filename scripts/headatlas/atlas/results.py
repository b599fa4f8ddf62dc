"""A folder of results as a reader meets it: which tables there are, whose they are, and what they say of heads.

What belongs to what is read from the tables themselves: each names the digests of the files it was made from.
"""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from headatlas.attention import packing
from headatlas.base import tables
from headatlas.base.errors import InputError

IDENTITY = ["model", "member", "layer", "head"]


class Results:
    """What lies in a folder of results, read when asked for.

    Parameters
    ----------
    folder : str or path-like
        The `results:` of a configuration.
    files : iterable of path-like, optional
        The files of it that may be looked at; all of them when not given.

    Examples
    --------
    >>> run = headatlas.open("results")                      # doctest: +SKIP
    >>> run.heads()                                          # doctest: +SKIP
    >>> run.scores("toy").query("score == 'induction'")      # doctest: +SKIP
    >>> run.patterns("toy", member=2, layer=0, head=3)       # doctest: +SKIP
    """

    def __init__(self, folder, files=None):
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such folder; allowed: the `results:` of a configuration that has run")
        self._files = None if files is None else {str(Path(file)) for file in files}

    def __repr__(self):
        return f"<results in {self.folder}: {', '.join(self.models) or 'no heads yet'}>"

    def path(self, name):
        """The file of that name under the folder, or None where there is none."""
        path = self.folder / name
        allowed = self._files is None or str(path) in self._files
        return path if allowed and path.is_file() else None

    def names(self, pattern):
        """Names under the folder that match a pattern of `pathlib`, sorted."""
        found = (path for path in self.folder.glob(pattern) if self._files is None or str(path) in self._files)
        return sorted(path.relative_to(self.folder).as_posix() for path in found)

    def table(self, name, columns=None, **equal):
        """A table as a data frame, or None where it is not available; arguments as of `tables.read`."""
        path = self.path(name)
        return None if path is None else tables.read(path, columns, **equal)

    @cached_property
    def models(self):
        """Names of the models whose heads were measured; those that studies compare come first."""
        names = {name.split("/")[1] for name in self.names("attention/*/patterns.parquet")}
        scored = {name.split("/")[1].removesuffix(".parquet") for name in self.names("scores/*.parquet")}
        names |= {name for name in scored if tables.facts(self.path(f"scores/{name}.parquet"))}
        return sorted(names, key=lambda name: (name.startswith("circuits-"), -self._heads_of(name), name))

    def _heads_of(self, model):
        facts = self.facts(model)
        return facts["members"] * facts["layers"] * facts["heads"]

    def has_patterns(self, model):
        """Whether a model's attention patterns were kept (`analysis.patterns` of the configuration)."""
        return self.path(f"attention/{model}/patterns.parquet") is not None

    def _patterns(self, model):
        if not self.has_patterns(model):
            kept = [name for name in self.models if self.has_patterns(name)]
            raise InputError(f"model {model!r}: no attention in {self.folder}; allowed: {', '.join(kept)}")
        return self.path(f"attention/{model}/patterns.parquet")

    def _measured(self, model):
        """The table that tells what a model's heads were measured on: its patterns or, where none are kept, scores."""
        scores = None if self.has_patterns(model) else self.path(f"scores/{model}.parquet")
        return scores or self._patterns(model)

    def facts(self, model):
        """Members, layers, heads, prompts, size and packing of a model's attention."""
        return tables.facts(self._measured(model))

    def windows(self, model):
        """The table of prompts that a model's attention was taken on, or None."""
        digests = tables.provenance(self._measured(model)).get("inputs", {}).get("windows", [])
        return next((path for digest, path in self._windows if digest in digests), None)

    @cached_property
    def _windows(self):
        paths = [self.path(name) for name in self.names("windows/*/analysis.parquet")]
        return [(tables.content_digest(path), path) for path in paths]

    def tokens(self, model):
        """Token ids of a model's prompts: int array (prompt, position), or None."""
        path = self.windows(model)
        return None if path is None else tables.read_lists(path, "tokens")[: self.facts(model)["prompts"]]

    def tokenizer(self, model):
        """The tokenizer of a model's prompts, or None."""
        path = self.windows(model)
        digests = [] if path is None else tables.provenance(path).get("inputs", {}).get("tokenizer", [])
        return next((tokenizer for digest, tokenizer in self._tokenizers if digest in digests), None)

    @cached_property
    def _tokenizers(self):
        from headatlas.data.tokenizer_reading import read_tokenizer
        from headatlas.jobs.store import file_digest

        found = []
        for name in self.names("tokenizers/*/tokenizer.json"):
            settings = self.path(name.replace("tokenizer.json", "tokenizer_config.json"))
            if settings is not None:
                found.append((file_digest(self.path(name)), read_tokenizer(self.path(name), settings)))
        return found

    def token_names(self, model, ids):
        """Legible names of token ids of a model: of its tokenizer where that is there, else their numbers."""
        from headatlas.data.tokenizer_reading import describe_tokens

        tokenizer = self.tokenizer(model)
        ids = [int(index) for index in ids]
        return [f"⟨{index}⟩" for index in ids] if tokenizer is None else describe_tokens(tokenizer, ids)

    def heads(self):
        """Every head with its scores, kind, partner group and ablation costs, as far as they are there.

        Returns
        -------
        DataFrame
            One row for each head: model, member, layer, head; then a column for each score; `kind`, `partner` and
            `cost_zero`, `cost_mean`, `cost_resample` (nats per token) where a study found them.
        """
        rows = pd.concat([self._identity(model) for model in self.models], ignore_index=True)
        scores = self.scores()
        if len(scores):
            wide = scores.pivot_table(index=IDENTITY, columns="score", values="value", sort=False).reset_index()
            rows = rows.merge(wide, how="left", on=IDENTITY)
        for name, file, column in (("kind", "kinds", "kind"), ("partner", "partners", "group")):
            if (found := self.table(f"phrenology/{file}.parquet", [*IDENTITY, column])) is not None:
                rows = rows.merge(found.rename(columns={column: name}), how="left", on=IDENTITY)
        costs = self.costs()
        if len(costs):
            wide = costs.pivot_table(index=IDENTITY, columns="kind", values="effect", sort=False).reset_index()
            rows = rows.merge(
                wide.rename(columns=lambda c: c if c in IDENTITY else f"cost_{c}"), how="left", on=IDENTITY
            )
        return rows

    def _identity(self, model):
        facts = self.facts(model)
        index = np.indices((facts["members"], facts["layers"], facts["heads"]), dtype=np.int32).reshape(3, -1)
        rows = pd.DataFrame(dict(zip(IDENTITY[1:], index, strict=True)))
        rows.insert(0, "model", model)
        return rows

    def scores(self, model=None):
        """Scores of a model's heads, or of all: model, member, layer, head, score, value, standard_error, chance."""
        models = self.models if model is None else [model]
        found = [(name, self.table(f"scores/{name}.parquet")) for name in models]
        parts = [rows.assign(model=name)[["model", *rows.columns]] for name, rows in found if rows is not None]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=[*IDENTITY, "score", "value"])

    def costs(self):
        """Loss added by ablating each head (nats per token), with its standard error; kind "other" is the control."""
        parts = []
        for model in self.models:
            rows = self.table(f"knockouts/{model}/losses.parquet")
            if rows is not None:
                parts.append(rows.assign(model=model))
        columns = [*IDENTITY, "kind", "effect", "standard_error"]
        return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)

    def packed_patterns(self, model, member, layer):
        """Packed patterns of one layer of one member: float32 (head, prompt, entry)."""
        path, facts = self._patterns(model), self.facts(model)
        patterns = None
        for group in tables.groups(path, member=member, layer=layer):
            chosen = (group["member"] == member) & (group["layer"] == layer)
            chosen = slice(None) if chosen.all() else chosen  # as a table is written: nothing is copied to choose
            if patterns is None:
                patterns = np.empty((facts["heads"], facts["prompts"], group["pattern"].shape[1]), dtype=np.float32)
            patterns[group["head"][chosen], group["prompt"][chosen]] = group["pattern"][chosen]
        if patterns is None:
            raise InputError(
                f"{model} has no member {member} with a layer {layer}; allowed: members below {facts['members']}, "
                f"layers below {facts['layers']}"
            )
        return patterns

    def patterns(self, model, member=0, layer=0, head=0, prompts=None):
        """Attention of one head, labelled.

        Parameters
        ----------
        model : str
        member, layer, head : int
        prompts : sequence of int, optional
            All prompts when not given.

        Returns
        -------
        DataFrame
            One row for each prompt and query, indexed by (prompt, query, token); one column for each key position.
            Rows sum to one; keys that a causal model cannot see hold 0.
        """
        facts, packed = self.facts(model), self.packed_patterns(model, member, layer)
        if not 0 <= head < facts["heads"]:
            raise InputError(f"{model} has no head {head}; allowed: 0 to {facts['heads'] - 1}")
        chosen = np.arange(facts["prompts"]) if prompts is None else np.asarray(prompts)
        whole = packing.unpack(packed[head, chosen], facts["size"], facts["packing"])
        tokens = self.tokens(model)
        names = None
        if tokens is not None:
            ids, places = np.unique(tokens[chosen], return_inverse=True)
            names = np.array(self.token_names(model, ids), dtype=object)[places.reshape(-1)]
        size = facts["size"]
        index = [np.repeat(chosen, size), np.tile(np.arange(size), len(chosen))]
        labels = ["prompt", "query"]
        if names is not None:
            index, labels = [*index, names], [*labels, "token"]
        rows = pd.MultiIndex.from_arrays(index, names=labels)
        return pd.DataFrame(whole.reshape(-1, size), index=rows, columns=pd.RangeIndex(size, name="key"))

    def kinds(self):
        """Kind of each head with the evidence for that kind joined, or None where no study looked for kinds."""
        return self._with_evidence("kinds", "kind", "kind")

    def partners(self):
        """Partner group of each head with the evidence for that group joined, or None where none were looked for."""
        return self._with_evidence("partners", "group", "partner")

    def _with_evidence(self, file, column, what):
        rows, evidence = self.table(f"phrenology/{file}.parquet"), self.table("phrenology/evidence.parquet")
        if rows is None or evidence is None:
            return rows
        own = evidence[evidence["what"] == what].drop(columns="what").rename(columns={"group": column})
        return rows.merge(own, how="left", on=column)
