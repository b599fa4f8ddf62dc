"""Tables on disk: the only module that reads and writes Parquet.

A table is a mapping from column names to arrays. A one-dimensional array is a scalar column, a
two-dimensional array of shape (row, size) is a column of fixed-size lists, and a list of lists is a
column of lists of any length. What produced a table (its provenance) lies in the footer, outside
what `content_digest` covers, so that two runs with the same rows are the same content.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from headatlas.base.errors import InputError

_PROVENANCE = b"headatlas.provenance"
_FACTS = b"headatlas.facts"


def _column(values):
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray) and values.ndim == 2:
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values)


def _table(columns, schema=None):
    if hasattr(columns, "to_dict") and hasattr(columns, "columns"):  # a data frame
        columns = {name: columns[name].to_numpy() for name in columns.columns}
    arrays = {name: _column(values) for name, values in columns.items()}
    if schema is None:
        return pa.table(arrays)
    if set(arrays) != set(schema.names):
        raise ValueError(f"columns {', '.join(arrays)} given; the table has {', '.join(schema.names)}")
    return pa.table({field.name: arrays[field.name].cast(field.type) for field in schema}, schema=schema)


def _described(schema, facts, provenance):
    notes = {}
    for key, value in ((_FACTS, facts), (_PROVENANCE, provenance)):
        if value is not None:
            notes[key] = json.dumps(value, sort_keys=True)
    return schema.with_metadata(notes)


class Writer:
    """A table written one row group at a time, so that it never has to fit in memory.

    Where the work inside its `with` block fails, no file is left: half a table cannot be told from a whole one.

    Parameters
    ----------
    path : str or path-like
        The Parquet file to write.
    facts : Mapping, optional
        What a reader must know to understand the columns (sizes, packing); part of the content.
    provenance : Mapping, optional
        What produced the table; not part of the content.
    schema : Mapping from str to str, optional
        Arrow type names of scalar columns ("int32", "string"); the first row group decides the rest.
    """

    def __init__(self, path, *, facts=None, provenance=None, schema=None):
        self._path, self._facts, self._provenance = path, facts, provenance
        self._types, self._writer = dict(schema or {}), None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._writer is not None:
            try:
                self._writer.close()
            finally:
                if kind is not None:
                    with contextlib.suppress(OSError):
                        os.unlink(self._path)
        elif kind is None:
            raise InputError(f"{self._path}: the table would be empty: nothing was written to it")

    def write(self, columns: Mapping):
        """Append `columns` as one row group."""
        if self._writer is None:
            table = _table(columns)
            if strangers := set(self._types) - set(table.column_names):
                raise ValueError(f"schema names {', '.join(sorted(strangers))}, which no column is called")
            fields = [
                pa.field(f.name, pa.type_for_alias(self._types[f.name]) if f.name in self._types else f.type)
                for f in table.schema
            ]
            schema = _described(pa.schema(fields), self._facts, self._provenance)
            self._writer = pq.ParquetWriter(self._path, schema, compression="zstd", write_page_checksum=True)
        table = _table(columns, self._writer.schema)
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))


def write(path, columns, *, facts=None, provenance=None, schema=None):
    """Write a whole table (a mapping or a data frame) as one row group; parameters as in `Writer`."""
    with Writer(path, facts=facts, provenance=provenance, schema=schema) as writer:
        writer.write(columns)


@contextlib.contextmanager
def _whole(path):
    """Whatever pyarrow says of a damaged file, as one line for the user."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a whole Parquet file ({reason}); delete it and run again") from None


def _open(path):
    with _whole(path):
        return pq.ParquetFile(path, page_checksum_verification=True)


def _check_columns(path, wanted, known):
    for name in wanted:
        if name not in known:
            raise InputError(f"{path}: no column {name!r}; it has {', '.join(known)}")


def _chosen(path, columns, equal):
    """The rows whose identity columns equal the given values; row groups without any are not read."""
    filters = [(name, "==", value) for name, value in equal.items()] or None
    with _open(path) as opened:
        _check_columns(path, [*(columns or []), *equal], opened.schema_arrow.names)
    with _whole(path):
        return pq.read_table(path, columns=columns, filters=filters, page_checksum_verification=True)


def read(path, columns=None, **equal):
    """Read scalar columns into a pandas data frame.

    Parameters
    ----------
    path : str or path-like
    columns : list of str, optional
        All columns when not given.
    **equal
        Keep the rows whose column of that name has that value, as in `read(path, member=0)`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    InputError
        If the file is damaged or a column is missing.
    """
    return _chosen(path, columns, equal).to_pandas()


def read_lists(path, column, **equal):
    """Read one column of fixed-size lists as an array of shape (row, size).

    Parameters are those of `read`; no row is copied through Python objects.
    """
    values = _chosen(path, [column], equal)[column].combine_chunks()
    if not pa.types.is_fixed_size_list(values.type):
        raise InputError(f"{path}: column {column!r} holds {values.type}, not fixed-size lists")
    return _array(values)


def groups(path, columns=None, **equal):
    """Yield the row groups of a table, in order, each as a mapping from column names to arrays.

    Fixed-size lists come as arrays of shape (row, size): what `Writer.write` was given. With values of columns given,
    as in `groups(path, member=0)`, a row group that holds none of them is neither read nor yielded.
    """
    with _open(path) as opened:
        names = opened.schema_arrow.names
        _check_columns(path, [*(columns or []), *equal], names)
        for group in range(opened.num_row_groups):
            chunks = {name: opened.metadata.row_group(group).column(names.index(name)) for name in equal}
            if not all(_may_hold(chunks[name].statistics, value) for name, value in equal.items()):
                continue
            with _whole(path):
                table = opened.read_row_group(group, columns=columns)
            yield {name: _array(table[name].combine_chunks()) for name in table.column_names}


def _may_hold(statistics, value):
    return statistics is None or not statistics.has_min_max or statistics.min <= value <= statistics.max


def _array(values):
    if pa.types.is_fixed_size_list(values.type):
        return values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), values.type.list_size)
    return values.to_numpy(zero_copy_only=False)


def columns(path):
    """Names and Arrow types of a table's columns, in order: {"member": "int32", ...}."""
    with _open(path) as opened:
        return {field.name: str(field.type) for field in opened.schema_arrow}


def rows(path):
    """Number of rows of a table."""
    with _open(path) as opened:
        return opened.metadata.num_rows


def _note(path, key):
    with _open(path) as opened:
        note = (opened.schema_arrow.metadata or {}).get(key, b"{}")
    try:
        return json.loads(note)
    except ValueError:
        raise InputError(f"{path}: its notes are damaged; delete it and run again") from None


def facts(path):
    """The facts a table was written with (sizes, packing), as a dict."""
    return _note(path, _FACTS)


def provenance(path):
    """What produced a table: configuration, inputs, code, packages and device, as a dict."""
    return _note(path, _PROVENANCE)


def content_digest(path):
    """sha256 of a table's rows, types and facts; its provenance does not count.

    Everything before the footer is hashed as it stands, so a flipped bit in a page is noticed.
    """
    with _open(path) as opened:
        schema = opened.schema_arrow
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        file.seek(-8, 2)
        left = file.tell() - int.from_bytes(file.read(4), "little")
        file.seek(0)
        while left > 0 and (block := file.read(min(left, 1 << 20))):
            digest.update(block)
            left -= len(block)
    digest.update(repr([(field.name, str(field.type)) for field in schema]).encode())
    digest.update((schema.metadata or {}).get(_FACTS, b""))
    return digest.hexdigest()
