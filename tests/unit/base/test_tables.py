"""Tables come back as they were written, whole, or with one line that names the file."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from headatlas.base import tables
from headatlas.base.errors import InputError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


def heads(count):
    return {"member": np.arange(count, dtype=np.int32) // 3, "head": np.arange(count, dtype=np.int32) % 3}


def refused(path, *calls):
    """The one-line message that each call ends with."""
    for call in calls:
        with pytest.raises(InputError) as caught:
            call(path)
        message = str(caught.value)
        assert str(path) in message
        assert "\n" not in message
        yield message


def readers():
    return (
        tables.read,
        lambda path: tables.read_lists(path, "pattern"),
        lambda path: list(tables.groups(path)),
        tables.rows,
        tables.facts,
        tables.provenance,
        tables.content_digest,
    )


@settings(max_examples=30, deadline=None)
@given(
    values=arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int32, np.int64]),
        st.tuples(st.integers(0, 5), st.integers(1, 4)),
    ),
)
def test_lists_come_back_bit_for_bit(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("tables") / "table.parquet"
    tables.write(path, {"pattern": values})
    found = tables.read_lists(path, "pattern")
    assert found.shape == values.shape
    assert found.dtype == values.dtype
    assert found.tobytes() == values.tobytes()  # NaN payloads and -0.0 included


def test_every_kind_of_column_comes_back(path):
    tags = np.array([["NN", "VB"], ["DT", ""]])
    tables.write(
        path,
        {"head": np.int32([4, 5]), "text": ["ä\n", ""], "tags": tags, "words": [["a"], []], "chance": [np.nan, 0.5]},
        facts={"size": 2},
        provenance={"rule": "r"},
    )
    frame = tables.read(path)
    assert frame["head"].dtype == np.int32
    assert frame["text"].tolist() == ["ä\n", ""]
    assert [list(words) for words in frame["words"]] == [["a"], []]
    np.testing.assert_array_equal(frame["chance"], [np.nan, 0.5])
    np.testing.assert_array_equal(tables.read_lists(path, "tags"), tags)
    assert (tables.facts(path), tables.provenance(path), tables.rows(path)) == ({"size": 2}, {"rule": "r"}, 2)


def test_data_frame_and_mapping_write_the_same_bytes(tmp_path):
    frame = pd.DataFrame({"member": np.int32([0, 1]), "score": ["a", "b"]})
    tables.write(tmp_path / "a.parquet", frame)
    tables.write(tmp_path / "b.parquet", {name: frame[name].to_numpy() for name in frame})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_notes_default_to_nothing(path):
    tables.write(path, heads(3))
    assert tables.facts(path) == {}
    assert tables.provenance(path) == {}


def test_row_groups_are_what_was_written(path):
    blocks = [np.random.default_rng(i).random((i + 1, 4)).astype(np.float32) for i in range(3)]
    with tables.Writer(path) as writer:
        for block in blocks:
            writer.write({**heads(len(block)), "pattern": block})
    found = list(tables.groups(path, ["pattern"]))
    assert [list(group) for group in found] == [["pattern"]] * 3
    for group, block in zip(found, blocks, strict=True):
        np.testing.assert_array_equal(group["pattern"], block)
    np.testing.assert_array_equal(tables.read_lists(path, "pattern"), np.concatenate(blocks))


def test_row_groups_without_a_value_are_passed_over(path):
    with tables.Writer(path) as writer:
        for member in range(4):
            writer.write({"member": np.full(3, member, dtype=np.int32), "value": np.arange(3) + member})
    assert [group["value"].tolist() for group in tables.groups(path, ["value"], member=2)] == [[2, 3, 4]]
    assert list(tables.groups(path, member=7)) == []
    with pytest.raises(InputError, match="no column 'layer'"):
        next(tables.groups(path, layer=0))


def test_rows_are_chosen_by_identity_in_order(path):
    values = np.arange(18, dtype=np.float32).reshape(9, 2)
    with tables.Writer(path) as writer:
        for start in (0, 3, 6):
            writer.write({name: column[start : start + 3] for name, column in {**heads(9), "pattern": values}.items()})
    np.testing.assert_array_equal(tables.read_lists(path, "pattern", member=1), values[3:6])
    np.testing.assert_array_equal(tables.read_lists(path, "pattern", member=2, head=1), values[7:8])
    assert tables.read_lists(path, "pattern", member=9).shape == (0, 2)
    assert tables.read(path, ["head"], member=1)["head"].tolist() == [0, 1, 2]
    assert tables.read(path, ["head"]).columns.tolist() == ["head"]


def test_types_of_the_schema_hold_in_every_row_group(path):
    with tables.Writer(path, schema={"member": "int32", "note": "string"}) as writer:
        writer.write({"member": [0], "note": ["a"]})
        writer.write({"member": np.int64([1]), "note": ["b"]})
    assert tables.read(path)["member"].dtype == np.int32


def test_folder_names_are_not_columns(tmp_path):
    path = tmp_path / "member=7" / "table.parquet"
    path.parent.mkdir()
    tables.write(path, {"head": np.int32([0])})
    assert tables.read(path).columns.tolist() == ["head"]


@pytest.mark.parametrize("second", [{"head": [1], "extra": [1]}, {"other": [1]}], ids=["extra", "missing"])
def test_a_row_group_with_other_columns_is_an_error(path, second):
    with pytest.raises(ValueError, match="the table has head"), tables.Writer(path) as writer:  # noqa: PT012
        writer.write({"head": [0]})
        writer.write(second)


def test_a_type_for_no_column_is_an_error(path):
    with pytest.raises(ValueError, match="membr"):
        tables.write(path, heads(3), schema={"membr": "int32"})


def test_failed_work_leaves_no_file(path):
    with pytest.raises(KeyboardInterrupt), tables.Writer(path) as writer:  # noqa: PT012
        writer.write(heads(3))
        raise KeyboardInterrupt
    assert not path.exists()


def test_nothing_written_is_an_error(path):
    (message,) = refused(path, lambda path: tables.Writer(path).__exit__(None, None, None))
    assert "empty" in message


def test_missing_file_is_named(path):
    assert all("no such file" in message for message in refused(path, *readers()))


def test_truncated_file_is_named(path):
    tables.write(path, {**heads(9), "pattern": np.ones((9, 4), np.float32)})
    whole = path.read_bytes()
    for left in (0, 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:left])
        assert all("delete it and run again" in message for message in refused(path, *readers()))


def test_a_flipped_bit_among_the_rows_is_found(path):
    values = np.random.default_rng(0).random((500, 4))  # cannot be compressed, so that no other check helps
    tables.write(path, {**heads(500), "pattern": values})
    whole = path.read_bytes()
    place = len(whole) // 2
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(InputError, match="delete it and run again"):
        tables.read_lists(path, "pattern")


def test_no_flipped_bit_ends_in_a_traceback(path):
    tables.write(path, {**heads(3), "pattern": np.random.default_rng(0).random((3, 4))}, facts={"size": 4})
    whole = path.read_bytes()
    said = []
    for position in range(0, len(whole), 11):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1 :])
        for reader in readers():
            try:
                reader(path)
            except InputError as error:
                said.append(str(error))
    assert len(said) > 100
    assert all(str(path) in message and "\n" not in message for message in said)


def test_missing_columns_are_named(path):
    tables.write(path, {**heads(3), "pattern": np.ones((3, 4))})
    messages = refused(
        path,
        lambda path: tables.read(path, ["value"]),
        lambda path: tables.read_lists(path, "value"),
        lambda path: tables.read(path, value=3),
        lambda path: list(tables.groups(path, ["value"])),
    )
    assert all("no column 'value'; it has member, head, pattern" in message for message in messages)


def test_scalars_are_not_lists(path):
    tables.write(path, heads(3))
    (message,) = refused(path, lambda path: tables.read_lists(path, "head"))
    assert "int32" in message


def test_digest_covers_rows_types_names_and_facts_but_not_provenance(tmp_path):
    def digest(columns=None, **notes):
        path = tmp_path / "table.parquet"
        tables.write(path, columns or {"head": np.int32([0, 1])}, **notes)
        return tables.content_digest(path)

    same = {digest(), digest(provenance={"device": "cpu"}), digest(provenance={"device": "x" * 5000})}
    assert len(same) == 1
    others = [
        digest({"head": np.int32([0, 2])}),
        digest({"head": np.int64([0, 1])}),
        digest({"heads": np.int32([0, 1])}),
        digest({"head": np.int32([0, 1, 1])}),
        digest(facts={"size": 2}),
        digest(facts={"size": 3}),
    ]
    assert len(same | set(others)) == 7


def test_digest_notices_a_flipped_bit_of_the_rows(path):
    tables.write(path, {"pattern": np.random.default_rng(0).random((50, 4))})
    before, data = tables.content_digest(path), bytearray(path.read_bytes())
    data[200] ^= 1
    path.write_bytes(data)
    assert tables.content_digest(path) != before
