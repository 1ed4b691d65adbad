"""The fast parser and the slow, careful one agree, and the fast one is fast."""

import time
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.data import BadInput
from helpers.data.delimited import Format, Source, _walk, read
from helpers.data.grouplens import HEADINGS, RATING, TAG

PLAIN = Format("::", TAG)
QUOTED = Format(",", TAG, {c: HEADINGS.get(c, (c,)) for c in TAG}, quoted=True)
whole = st.integers(0, 2**31 - 1)
seconds = st.integers(0, 4_102_444_799)
free = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="\x1f"), max_size=12
)
rows = st.lists(st.tuples(whole, whole, free, seconds), min_size=1, max_size=8)
tmp_once = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)


def source(folder, name: str, content: str | bytes) -> Source:
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Source(folder)


@tmp_once
@given(rows)
def test_free_text_between_double_colons_survives(tmp_path, table):
    # a text that touches the separator with a colon of its own cannot be told apart in this format
    table = [(u, m, t.replace(":", " : "), at) for u, m, t, at in table]
    content = "".join(f"{u}::{m}::{t}::{at}\n" for u, m, t, at in table)
    frame = read(source(tmp_path, "tags.dat", content), "tags.dat", PLAIN)
    assert list(frame.itertuples(index=False, name=None)) == table


@tmp_once
@given(rows)
def test_quoted_text_survives_and_both_parsers_agree(tmp_path, table):
    lines = [",".join([str(u), str(m), '"' + t.replace('"', '""') + '"', str(at)]) for u, m, t, at in table]
    content = "userId,movieId,tag,timestamp\n" + "\n".join(lines)
    here = source(tmp_path, "tags.csv", content)
    fast = read(here, "tags.csv", QUOTED)
    slow = _walk("tags.csv", QUOTED, list(TAG), pa.py_buffer(content.encode()))
    pd.testing.assert_frame_equal(fast, slow)
    assert list(fast.itertuples(index=False, name=None)) == table


def test_a_separator_inside_the_text_is_kept(tmp_path):
    here = source(tmp_path, "tags.dat", "1::2::one :: two::5\n1::3::plain::6\n")
    assert read(here, "tags.dat", PLAIN)["tag"].tolist() == ["one :: two", "plain"]


def test_a_line_break_inside_quotes_is_kept_and_lines_are_still_counted(tmp_path):
    head = "userId,movieId,tag,timestamp\n"
    here = source(tmp_path, "tags.csv", head + '1,2,"two\nlines",5\n')
    assert read(here, "tags.csv", QUOTED)["tag"].tolist() == ["two\nlines"]
    here = source(tmp_path, "tags.csv", head + '1,2,"two\nlines",5\n1,x,y,5\n')
    with pytest.raises(BadInput, match="line 4: movie is 'x'"):
        read(here, "tags.csv", QUOTED)


def test_columns_may_come_in_another_order_and_with_others(tmp_path):
    here = source(tmp_path, "tags.csv", "note,timestamp,tag,movie_id,user_id\nhello,5,sea,2,1\n")
    assert read(here, "tags.csv", QUOTED).iloc[0].tolist() == [1, 2, "sea", 5]


@pytest.mark.parametrize("text", ["", "1_000", "٣", "1.0", "3000000000", " "])
def test_what_is_no_whole_number(tmp_path, text):
    here = source(tmp_path, "tags.dat", f"1::2::ok::5\n{text}::2::sea::5\n")
    with pytest.raises(BadInput, match=r"tags\.dat, line 2: user is"):
        read(here, "tags.dat", PLAIN)


def test_a_million_ratings_are_parsed_in_a_moment(tmp_path):
    n = 1_000_000
    rng = np.random.default_rng(0)
    columns = {
        "user": rng.integers(1, 6041, n),
        "movie": rng.integers(1, 3953, n),
        "rating": rng.integers(1, 6, n),
    }
    frame = pd.DataFrame(columns | {"at": rng.integers(956_000_000, 1_046_000_000, n)})
    frame.to_csv(tmp_path / "u.data", sep="\t", header=False, index=False)
    content = (tmp_path / "u.data").read_bytes().replace(b"\t", b"::")
    here = source(tmp_path, "ratings.dat", content)
    start = time.perf_counter()
    found = read(here, "ratings.dat", Format("::", RATING))
    assert time.perf_counter() - start < 5, "about 0.1 s where nothing else runs"
    assert found.dtypes.tolist() == [np.int32, np.int32, np.float32, np.int64]
    assert np.array_equal(found.to_numpy(float), frame.to_numpy(float))


def test_a_quote_that_is_never_closed_is_named(tmp_path):
    content = 'userId,movieId,tag,timestamp\n1,2,"a,3\n' + "1,2,b,3\n" * 50_000
    with pytest.raises(BadInput, match=r"tags\.csv, line \d+: field larger.*; close the quote"):
        read(source(tmp_path, "tags.csv", content), "tags.csv", QUOTED)


def test_a_damaged_member_of_a_zip_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tags.dat", "".join(f"{k}::{k * k}::a::3\n" for k in range(900)))
    content = bytearray((tmp_path / "x.zip").read_bytes())
    content[45:60] = b"\xff" * 15
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(BadInput, match=r"tags\.dat\): cannot be read .*; download the file again"):
        read(Source(tmp_path / "x.zip"), "tags.dat", PLAIN)
