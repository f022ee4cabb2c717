"""CSV files as SQLite, and which files datasette is given."""

import sqlite3
from contextlib import closing

import pytest

from pyodide_offline.features.browser.pages import tables


def rows(path, sql):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def made(tmp_path, data, name="the rows.csv"):
    path = tmp_path / name
    path.write_bytes(data)
    return tables.database(path)


def test_a_sqlite_file_is_taken_as_it_is(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"SQLite format 3\0...")
    assert tables.database(path) == path


def test_numbers_are_numbers_and_texts_texts(tmp_path):
    data = "name,zip,people,share\nZürich,08001,434000,1.5\nOslo,0150,,-2\n".encode()
    path = made(tmp_path, data)
    assert rows(path, 'SELECT * FROM "the rows"') == [
        ("Zürich", "08001", 434000, 1.5),
        ("Oslo", "0150", None, -2.0),
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a;b\n1;2\n3;4\n", [(1, 2), (3, 4)]),
        (b"a\tb\nx\ty\nz\tw\n", [("x", "y"), ("z", "w")]),
        ("\ufeffa,b\n1,2\n".encode(), [(1, 2)]),
        ("a,b\nM\xfcnchen,2\n".encode("latin-1"), [("München", 2)]),
        (b'a,b\n"x, ""y""\nz",1\n', [('x, "y"\nz', 1)]),
        (b"a,b\n1\n2,3,4\n", [(1, None), (2, 3)]),
    ],
)
def test_separators_encodings_and_odd_rows(tmp_path, data, expected):
    assert rows(made(tmp_path, data), 'SELECT * FROM "the rows"') == expected


def test_columns_get_names_that_differ(tmp_path):
    path = made(tmp_path, b'a,A,,"x""y"\n1,2,3,4\n')
    with closing(sqlite3.connect(path)) as connection:
        cursor = connection.execute('SELECT * FROM "the rows"')
        assert [one[0] for one in cursor.description] == ["a", "A 2", "column 3", 'x"y']


def test_a_second_file_of_the_same_name_gets_another(tmp_path):
    first = made(tmp_path, b"a\n1\n")
    assert made(tmp_path, b"a\n1\n").name == "the rows-2.db"
    assert first.name == "the rows.db"


@pytest.mark.parametrize(("name", "data"), [("x.png", b"\x89PNG"), ("x.csv", b"")])
def test_another_kind_is_refused(tmp_path, name, data):
    with pytest.raises(ValueError, match=r"neither a SQLite|no row"):
        made(tmp_path, data, name)
