from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from schemas.errors import UserError
from streams.imports.documents import Document, ExportFile


def documents(folder: Path, content: bytes | str) -> list[Document]:
    path = folder / "export"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(ExportFile(path).documents())


def read(folder: Path, content: bytes | str) -> list[object]:
    return [
        d.content if d.problem is None else d.problem.detail for d in documents(folder, content)
    ]


ROWS = [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "content",
    [
        '{"a": 1}\n{"a": 2}\n',
        '\ufeff{"a": 1}\n\n{"a": 2}',
        '[{"a": 1},\n {"a": 2}]',
        '{\n "data": [{"a": 1}, {"a": 2}]\n}\n',
        '{"data": [{"a": 1}]}{"data": [{"a": 2}], "has_more": false}',
        '{\n"a": 1\n}\n{"a": 2}',
        gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0),
    ],
)
def test_rows_are_found_in_every_form_of_json(tmp_path, content):
    assert read(tmp_path, content) == ROWS


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_is_read_by_its_header(tmp_path, delimiter):
    content = 'a,b\n1,"x\ny"\n\n,z\n'.replace(",", delimiter)
    found = documents(tmp_path, content)
    assert [d.content for d in found] == [{"a": "1", "b": "x\ny"}, {"a": None, "b": "z"}]
    assert [d.line for d in found] == [2, 5]


def test_a_broken_line_costs_itself_only(tmp_path):
    found = documents(tmp_path, '{"a": 1}\n{"a": \n[1]\n{"a": 2}\n')
    assert [d.content for d in found if d.problem is None] == ROWS
    assert [(d.line, d.original) for d in found if d.problem] == [(2, '{"a": '), (3, "[1]")]
    found = documents(tmp_path, "a,b\n1\n1,2\n")
    assert [(d.line, d.original) for d in found if d.problem] == [(2, "1")]


def test_json_that_breaks_off_is_read_up_to_there_and_says_so(tmp_path):
    rows = read(tmp_path, '[{"a": 1}, {"a": 2}, {"a"')
    assert rows[:2] == ROWS
    assert "not JSON from here on" in str(rows[2])


def test_a_packed_file_that_breaks_off_is_an_error(tmp_path):
    lines = b"".join(b'{"a": "%s"}\n' % os.urandom(50).hex().encode() for _ in range(2000))
    with pytest.raises(UserError, match="cannot be read to its end"):
        documents(tmp_path, gzip.compress(lines)[:-12])


def test_numbers_of_json_are_never_floats(tmp_path):
    for content in ('{"a": 0.1}', '[{"a": 0.1}]', '{"data": [{"a": 0.1}]}'):
        (row,) = documents(tmp_path, content)
        assert str(row.content["a"]) == "0.1"


@pytest.mark.parametrize("content", ["", " \n"])
def test_an_empty_file_is_one_line(tmp_path, content):
    with pytest.raises(UserError, match="is empty"):
        documents(tmp_path, content)


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match="No such file or directory; give a readable export"):
        ExportFile(tmp_path / "nothing")


def test_the_position_ends_at_the_size(tmp_path):
    path = tmp_path / "export"
    path.write_text('{"a": 1}\n' * 10)
    file = ExportFile(path)
    assert len(list(file.documents())) == 10
    assert file.position == file.size
