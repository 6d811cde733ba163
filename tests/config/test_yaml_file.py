"""Every mistake in a YAML file is one error: line, column, what, and the fix; then the line and a caret."""

import pytest

from ensir.config import yaml_file
from ensir.errors import InputError

NO_SPACE = "no space after the colon; write `kind: …`"
STRAIGHT = 'a curly quote; write straight quotes: "…"'
TAB = "a tab; YAML is indented with spaces: replace it with spaces"
BRACKET = "text behind a closing bracket; put a value that begins with a bracket in quotes"
SIBLINGS = "indented unlike the lines above that it belongs to; fix the indentation"

# The text; line, column and what is said of them.
BROKEN = [
    ("models:\n\ta: 1\n", 2, 1, TAB),
    ("models:\n  a: x\n\tb: 1\n", 3, 1, TAB),
    ("a:\n  kind:folder\n  path: x\n", 2, 8, NO_SPACE),
    ("a:\n  kind:folder\n", 2, 8, NO_SPACE),
    ("a: 1\nkind:folder\n", 2, 6, NO_SPACE),
    ("kind:folder\na: 1\n", 1, 6, NO_SPACE),
    ("a: {kind:folder, path: x}\n", 1, 10, NO_SPACE),
    ("kind:{a: 1}\n", 1, 6, NO_SPACE),
    ("a: [x, y\nb: 1\n", 1, 4, "this [ is not closed; add ]"),
    ("a: [", 1, 4, "this [ is not closed; add ]"),
    ("a: {b: [x, {y: 1}\n", 1, 8, "this [ is not closed; add ]"),
    ("a: [x, y\n", 1, 4, "this [ is not closed; add ]"),
    ("a:\n  b: {kind: folder\n  c: 1\n", 2, 6, "this { is not closed; add }"),
    ("a: {x: 1 y: 2}\n", 1, 11, "a comma or } is missing before this"),
    ('a: "x\nb: 1\n', 1, 4, 'this quote is not closed in its line; add "'),
    ('a: "x\nb: 1\nc: "y"\n', 1, 4, 'this quote is not closed in its line; add "'),
    ('a: {k: "x, l: 1}\nb: {k: "y"}\n', 1, 8, 'this quote is not closed in its line; add "'),
    ("a: 'x\nb: 1\n", 1, 4, "this quote is not closed in its line; add '"),
    ("a: {path: “x”}\n", 1, 11, STRAIGHT),
    ("a: {path: “{dataset}/*.png”}\n", 1, 11, STRAIGHT),
    ("a:\n  path: ‘x’\n", 2, 9, "a curly quote; write straight quotes: '…'"),
    ("a:\n  kind:\u00a0folder\n  x: 1\n", 2, 8, "an unusual space (U+00A0); replace it with an ordinary one"),
    ("a: 1\n---\nb: 1\n", 2, 1, "a second document begins here; keep one, and remove the line `---`"),
    ("a: *.png\n", 1, 4, "a value that begins with * must be in quotes"),
    ("a: *x\n", 1, 4, "`*x` refers to no `&x` above; fix the name, or put the value in quotes"),
    ("a: {dataset}/x.png\n", 1, 13, BRACKET),
    ("a: [ab]/x.png\n", 1, 8, BRACKET),
    ("a: @x\n", 1, 4, "a value that begins with @ must be in quotes"),
    ("a: !network x\n", 1, 4, "a value that begins with ! must be in quotes"),
    ("a: > x\n", 1, 4, "a value that begins with > must be in quotes"),
    ('a: "C:\\data"\n', 1, 7, "a backslash in double quotes begins an escape; double it, or use single quotes"),
    ('a: "x" y\n', 1, 8, "text behind a closing quote; put the whole value in quotes"),
    ("a:\n  b: 1\n   c: 2\n", 3, 4, "indented deeper than line 2, which has a value already; fix the indentation"),
    ("a:\n    b: 1\n  c: 2\n", 3, 3, SIBLINGS),
    ("a:\n  b:\n    - 1\n   - 2\n", 4, 4, SIBLINGS),
    ("a:\n  c\n  b: 1\n", 2, 3, "a key without a colon; write `KEY: VALUE`"),
    ("a:\n  b: 1\n  c\n", 3, 3, "a key without a colon; write `KEY: VALUE`, or put a text of several words in quotes"),
    ("a: b: c\n", 1, 5, "a second colon in one line; put the value that holds it in quotes"),
    ("a: ]\n", 1, 4, "a value is missing before this; give one, or remove this"),
    ("? [a]\n: 1", 1, 3, "a list or section cannot be a key; put it in quotes"),
    ("a: 2026-13-45\n", 1, 4, 'looks like a date (month must be in 1..12); put it in quotes: "2026-13-45"'),
    ("a: x\x07\n", 1, 5, "a control character (U+0007); remove it"),
]  # fmt: skip


def error(path):
    with pytest.raises(InputError) as caught:
        yaml_file.read(str(path))
    return str(caught.value)


@pytest.mark.parametrize(("text", "line", "column", "what"), BROKEN)
def test_mistake(tmp_path, text, line, column, what):
    path = tmp_path / "my config.yaml"
    path.write_text(text)
    told, shown, caret = error(path).split("\n")
    assert told == f"{path}: line {line}, column {column}: {what}"
    wrong = text.split("\n")[line - 1]
    assert shown[2:] == "".join({"\t": "→"}.get(c, c if c.isprintable() else "·") for c in wrong)
    assert caret == " " * (column + 1) + "^"


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfa: 1\n",
        b"a: 1\r\n",
        b"---\na: 1\n",
        "# a “note”\na: 1\n".encode(),
    ],
)
def test_fine(tmp_path, content):
    path = tmp_path / "my config.yaml"
    path.write_bytes(content)
    assert yaml_file.read(str(path))[1] == {"a": 1}


@pytest.mark.parametrize(
    "text",
    [
        "mine:restore",
        "\n    mine:restore",
        "s3://bucket/x",
        "\n    s3://bucket/x",
        "it's “quoted”",
        "C:/data",
    ],
)
def test_texts_that_are_meant(tmp_path, text):
    path = tmp_path / "my.yaml"
    path.write_text(f"function: {text}\n")
    assert yaml_file.read(str(path))[1] == {"function": text.strip()}


@pytest.mark.parametrize(
    ("content", "what", "shown"),
    [
        ("a: 1\n".encode("utf-16"), "line 1, column 1: the file is in UTF-16; save it as UTF-8", "a: 1"),
        ("a: “x".encode("cp1252"), "line 1, column 4: the byte 0x93 is no UTF-8; save the file as UTF-8", "a: \ufffdx"),
        (b"\x89PNG\xff", "line 1, column 1: the byte 0x89 is no UTF-8; save the file as UTF-8", "\ufffdPNG\ufffd"),
    ],
)  # fmt: skip
def test_encodings(tmp_path, content, what, shown):
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    assert error(path).split("\n")[:2] == [f"{path}: {what}", f"  {shown}"]


def test_no_text_file(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_bytes(b"\x89PNG\0\0")
    assert error(path) == f"{path}: is no text file; give a YAML file, in UTF-8"


def test_no_file(tmp_path):
    (tmp_path / "config.yaml").write_text("a: 1\n")
    assert error(tmp_path / "confg.yaml") == (
        f"{tmp_path}/confg.yaml: no such file; did you mean {tmp_path}/config.yaml?"
    )
    assert error(tmp_path / "x/y.yaml") == f"{tmp_path}/x/y.yaml: no such file; fix the path"
    assert error(tmp_path) == f"{tmp_path}: is a folder; give a YAML file"


def test_empty(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text("# nothing\n")
    assert yaml_file.read(str(path)) == (None, None)


def test_a_long_line_is_cut_around_the_mistake(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(f'a: "{"x" * 500}" y\n')
    _, shown, caret = error(path).split("\n")
    assert len(shown) <= 102
    assert shown[len(caret) - 1] == "y"


def test_aliases_that_explode(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]" for n in range(6)]
    path = tmp_path / "my.yaml"
    path.write_text("\n".join(lines))
    assert error(path) == (f"{path}: its aliases expand to more than 100000 values; write out what is meant")
