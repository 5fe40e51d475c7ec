"""YAML text that reads back as what was written."""

from __future__ import annotations

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from servelab.tekton.write import to_yaml

AWKWARD = [
    "yes",
    "1e5",
    "0x1",
    "-1",
    "--",
    "- a",
    "null",
    "2024-01-01",
    "a: b",
    "x #y",
    "日本",
    "🙂",
    "1:30",
    "<<",
    "=",
]
AWKWARD += [".5", "a\n\n", "a\nb\n", "\na", "a\n b\nc", "a \nb", " a", "~", "'", '"', "\\", "a\tb\nc", "\x85", "\u2028"]

leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.text(alphabet="ab:#-{}[] \n'\"|>%&*!?,\t0123=<~e.", max_size=12),
    st.sampled_from(AWKWARD),
)
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(trees)
@settings(max_examples=500)
def test_both_readers_read_back_what_was_written(tree):
    text = to_yaml(tree)
    assert yaml.safe_load(text) == tree
    assert YAML(typ="safe", pure=True).load(text) == tree


def test_it_is_written_for_people():
    shared = {"image": "a:b", "args": ["--x=1", "2"]}
    data = {"name": "p", "script": "#!/bin/sh\necho 'a'\n", "items": [shared, shared], "none": None, "empty": []}
    assert to_yaml(data) == (
        "name: p\nscript: |\n  #!/bin/sh\n  echo 'a'\nitems:\n"
        + '- image: a:b\n  args:\n  - --x=1\n  - "2"\n' * 2
        + "none: null\nempty: []\n"
    )
