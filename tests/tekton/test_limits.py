"""Templates and values that ask for too much, or for what they may not have, are refused at once."""

from __future__ import annotations

import time

import pytest

from servelab.spec.errors import DocumentError
from servelab.tekton.compile import compile_template
from servelab.tekton.values import read_mapping

HEAD = "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n  tasks:\n"
GROW = "{% set ns = namespace(s=START) %}{% for i in range(100) %}{% set ns.s = STEP %}{% endfor %}  - name: {{ LAST }}"


def grown(start, step, last="ns.s"):
    return GROW.replace("START", start).replace("STEP", step).replace("LAST", last)


BOMBS = {
    "a text times a number": "  - name: {{ 'x' * 10000000000 }}",
    "a list times a number": "  - name: {{ ([1] * 1000000000) | length }}",
    "a power": "  - name: {{ (2 ** 1000) ** 1000 }}",
    "a text that doubles": grown("'x'", "ns.s ~ ns.s"),
    "a text that doubles by plus": grown("'x'", "ns.s + ns.s"),
    "a list that doubles": grown("[1]", "ns.s + ns.s"),
    "a list of itself": grown("[1]", "[ns.s, ns.s]"),
    "a list of itself, as JSON": grown("[1]", "[ns.s, ns.s]", "ns.s | tojson"),
    "a list of itself, as text": grown("[1]", "[ns.s, ns.s]", "ns.s ~ ''"),
    "a mapping of itself": grown("1", "{'a': ns.s, 'b': ns.s}"),
    "a mapping of itself by a call": grown("1", "dict(a=ns.s, b=ns.s)"),
    "a long range": "{% for i in range(10000000000) %}{% endfor %}  - name: x",
    "loops in loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}  - name: x",
    "a macro that calls itself": "{% macro f(n) %}{{ f(n) }}{% endmacro %}  - name: {{ f(1) }}",
    "a macro that calls itself twice": (
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}  - name: {{ f(60) }}"
    ),
    "padding": "  - name: {{ 'x' | center(10000000000) }}",
    "padding by a method": "  - name: {{ 'x'.ljust(10000000000) }}",
    "a wide format": "  - name: {{ '%10000000000d' % 1 }}",
    "a wide format by a method": "  - name: {{ '{:>10000000000}'.format(1) }}",
    "a wide format by a filter": "  - name: {{ '%*d' | format(10000000000, 1) }}",
    "a replacement": "  - name: {{ ('a' * 1000000) | replace('a', 'a' * 1000000) }}",
    "slices": "  - name: {{ 'abc' | slice(1000000000) | list }}",
    "a large product": (
        "  - loopName: l\n    foreach: {domain: {a: {{ n }}, b: {{ n }}, c: {{ n }}}}\n    tasks: [{name: x}]".replace(
            "{{ n }}", "{{ range(1000) | list }}"
        )
    ),
    "nested loop nodes": (
        "  - loopName: l\n    foreach: {domain: {a: {{ range(1000) | list }}}}\n    tasks:\n    - loopName: m\n"
        "      foreach: {domain: {b: {{ range(1000) | list }}}}\n      tasks: [{name: x}]"
    ),
    "a block that loops": (
        "  - __jinja__: |\n      {% for i in range(99999) %}{% for j in range(99) %}\n"
        "      - {name: x}\n      {% endfor %}{% endfor %}"
    ),
    "YAML aliases": "  - &a {name: [x, x, x, x, x, x, x, x, x]}\n"
    + "".join(f"  - &{chr(c + 1)} [{', '.join([f'*{chr(c)}'] * 9)}]\n" for c in range(ord("a"), ord("z"))),
    "an alias of itself": "  - &a {name: x, p: [*a]}",
}

BREAKOUTS = {
    "classes": "  - name: {{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "  - name: {{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "attr": "  - name: {{ '' | attr('__class__') }}",
    "the template itself": "  - name: {{ self._TemplateReference__context }}",
    "files": "  - name: {% include '/etc/passwd' %}",
    "imports": "{% import '/etc/passwd' as x %}  - name: x",
    "changes of values": "  - name: {{ things.append(1) }}",
    "objects by YAML tags": "  - name: !!python/object/apply:os.system ['true']",
    "format strings": "  - name: {{ '{0.__class__.__mro__}'.format(1) }}",
    "marks of places": "  - name: \ue0000\ue001",
}


@pytest.mark.parametrize("body", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_quickly(body):
    """In processor time, of the best of some tries: other work on the machine may make any one of them slow."""
    assert any(seconds_to_refuse(body) < 5 for _ in range(5))


def seconds_to_refuse(body):
    start = time.thread_time()
    with pytest.raises(DocumentError):
        compile_template(HEAD + body, {})
    return time.thread_time() - start


@pytest.mark.parametrize("body", BREAKOUTS.values(), ids=BREAKOUTS)
def test_a_template_stays_in_its_sandbox(body):
    things = [0]
    with pytest.raises(DocumentError):
        compile_template(HEAD + body, {"things": things})
    assert things == [0]


@pytest.mark.parametrize(
    "text",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(c + 1)}: &{chr(c + 1)} [{', '.join([f'*{chr(c)}'] * 9)}]\n" for c in range(97, 121)),
        "a: &a [*a]",
        "a: !!python/name:os.system",
        "[1, 2]",
        "text",
        "1: 2",
        "a: [",
        "a: \ue000",
    ],
)
def test_values_that_are_refused(text):
    with pytest.raises(DocumentError):
        read_mapping(text, "values.yaml")


def test_what_is_large_but_honest_is_compiled():
    loop = "  - loopName: l\n    foreach: {domain: {x: {{ xs }}}}\n"
    loop += "    tasks: [{name: 't-{{ x }}', config: {{ config }}}]\n"
    config = {f"key{i}": "value" * 10 for i in range(100)}
    made = compile_template(HEAD + loop, {"xs": list(range(5000)), "config": config})
    assert len(made.document["spec"]["tasks"]) == 5000
