"""The template language: what a template means, case by case."""

from __future__ import annotations

import textwrap

import pytest

from servelab.spec.errors import DocumentError
from servelab.tekton.compile import compile_template
from servelab.tekton.values import read_mapping, with_run

HEAD = "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n"

VALUES = {
    "models": ["llama-7b", "Qwen 2.5/7B"],
    "parts": [{"name": "a", "port": "8080", "n": 3}, {"name": "B_x", "port": "9090", "n": 4}],
    "config": {"deep": [1, {"text": "x: y # z"}], "yes": True, "none": None, "script": "one 'q'\n  two \"w\"\n"},
    "tp": [2, 4],
    "name": "modèle 日本 🙂",
}


def compiled(body, values=VALUES):
    return compile_template(HEAD + textwrap.indent(textwrap.dedent(body), "  "), values, "t.j2").document["spec"]


def tasks(body, values=VALUES):
    return compiled(body, values)["tasks"]


def value(expression, values=VALUES):
    """What a parameter of this value becomes."""
    return tasks(f"tasks:\n- name: t\n  params:\n  - {{name: x, value: {expression}}}\n", values)[0]["params"][0][
        "value"
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{{ config }}", VALUES["config"]),
        ("{{ config | tojson }}", VALUES["config"]),
        ("'{{ models | tojson }}'", '["llama-7b", "Qwen 2.5/7B"]'),
        ('"{{ models | tojson }}"', '["llama-7b", "Qwen 2.5/7B"]'),
        ("{{ config.none }}", None),
        ("{{ config.script }}", VALUES["config"]["script"]),
        ('"a{{ config.script }}"', "a" + VALUES["config"]["script"]),
        ("{{ config.deep[1].text }}", "x: y # z"),
        ("{{ config.deep[0] }}", 1),
        ("{{ config.yes }}", True),
        ('"{{ config.yes }}"', "True"),
        ('"{{ config.deep[0] }}"', "1"),
        ("{{ name }}", VALUES["name"]),
        ("'{{ name | dns }}'", "mod-le"),
        ("{{ models[1] | slug }}", "Qwen-2.5-7B"),
        ("[{{ models | map('dns') | join(', ') }}]", ["llama-7b", "qwen-2-5-7b"]),
        ("{{ missing | default(7) }}", 7),
        ("{{ 'many' if tp | length > 1 else 'one' }}", "many"),
        ("$(params.model)", "$(params.model)"),
        ('"$(tasks.a.results.b[*])"', "$(tasks.a.results.b[*])"),
        ("--a={{ tp[0] }}", "--a=2"),
        ("{{ tp[-1] }}", 4),
        ("{{ 'x' ~ tp[0] }}", "x2"),
        ("{{ (models | enumerate_list)[1].prev_i }}", 0),
        ("{{ enumerate_list(models)[1].is_last }}", True),
        ('"{% raw %}{{ .Values.image }}{% endraw %}"', "{{ .Values.image }}"),
        ('"{% raw %}{{ tp[0] }}{% endraw %}"', "2"),
        ("\"{{ '%02d' | format(7) }}\"", "07"),
    ],
)
def test_what_an_expression_becomes(written, meant):
    assert value(written) == meant


AWKWARD = [
    "",
    " a ",
    "a: b",
    "a #b",
    "[a, b]",
    "{a: b}",
    "yes",
    "null",
    "1.10",
    "0123",
    "*x",
    "&x",
    "!x",
    "- a",
    "a, b",
]
AWKWARD += ["a]", "2024-01-01", "{{ tp }}", "{% x %}", "{# x #}", "'", '"', "\t", "a\nb", "\\", "`", "@", "%", "? a"]
AWKWARD += ["|", ">", "~", "{{ nowhere }}", "$(params.x)", "🙂"]


@pytest.mark.parametrize("text", AWKWARD)
def test_a_text_of_the_values_stays_that_text(text):
    assert value("{{ text }}", {"text": text}) == text
    assert value('"<{{ text }}>"', {"text": text}) == f"<{text}>"
    loop = "tasks:\n- loopName: l\n  foreach: {domain: {x: {{ texts }}}}\n"
    loop += "  tasks: [{name: t, params: [{{ x }}, 'a{{ x }}']}]"
    assert tasks(loop, {"texts": [text]})[0]["params"] == [text, f"a{text}"]
    block = "tasks:\n- __jinja__: |\n    - {name: t, params: [{{ text }}, '-{{ text }}']}\n"
    assert tasks(block, {"text": text})[0]["params"] == [text, f"-{text}"]


def test_numbers_in_texts_are_read_as_the_original_does():
    assert value("{{ port }}", {"port": "8080"}) == 8080
    assert value('"{{ port }}"', {"port": "8080"}) == "8080"


def test_loops_are_products_with_sorted_keys_and_nest():
    made = tasks("""
        tasks:
        - loopName: outer
          foreach: {domain: {z: [1, 2], a: {{ models }}}}
          vars: {id: "{{ a | dns }}-{{ z }}", half: "{{ z / 2 }}", list: ["{{ a }}", k], next: "{{ id }}+"}
          tasks:
          - name: x-{{ id }}
            params: {half: "{{ half }}", list: "{{ list[1] }}", next: "{{ next }}"}
          - loopName: inner
            foreach: {domain: {part: {{ parts }}}}
            vars: {id: "{{ id }}-{{ part.name | dns }}"}
            tasks:
            - {name: "y-{{ id }}", runAfter: ["x-{{ a | dns }}-{{ z }}"], port: {{ part.port }}}
        """)
    assert [task["name"] for task in made] == [
        name
        for a in ("llama-7b", "qwen-2-5-7b")
        for z in (1, 2)
        for name in (f"x-{a}-{z}", f"y-{a}-{z}-a", f"y-{a}-{z}-b-x")
    ]
    assert made[0]["params"] == {"half": "0.5", "list": "k", "next": "llama-7b-1+"}
    assert made[1] == {"name": "y-llama-7b-1-a", "runAfter": ["x-llama-7b-1"], "port": "8080"}


@pytest.mark.parametrize(
    ("domain", "names"),
    [
        ("{x: []}", []),
        ("{}", ["t"]),
        ("{x: {k: 1, l: 2}}", ["t-k", "t-l"]),
        ("{x: [1, a, true, null]}", ["t-1", "t-a", "t-True", "t-null"]),
        ("{x: {{ range(3) | list }}}", ["t-0", "t-1", "t-2"]),
        ("{x: {{ range(3) }}}", ["t-0", "t-1", "t-2"]),
    ],
)
def test_domains(domain, names):
    name = "t" if domain == "{}" else "t-{{ x }}"
    made = tasks(f"tasks:\n- loopName: l\n  foreach: {{domain: {domain}}}\n  tasks: [{{name: '{name}'}}]\n")
    assert [task["name"] for task in made] == names


def test_an_inner_domain_may_depend_on_an_outer_variable():
    values = {"nodes": [{"name": "a", "gpus": [0, 1]}, {"name": "b", "gpus": [2]}]}
    body = """
        tasks:
        - loopName: node
          foreach: {domain: {node: {{ nodes }}}}
          tasks:
          - loopName: gpu
            foreach: {domain: {gpu: {{ node.gpus }}}}
            tasks: [{name: "{{ node.name }}-{{ gpu }}", retries: {{ gpu }}}]
        """
    assert [(task["name"], task["retries"]) for task in tasks(body, values)] == [("a-0", 0), ("a-1", 1), ("b-2", 2)]


def test_a_loop_variable_hides_a_value_only_where_its_loop_is():
    body = """
        description: "{{ model }}"
        tasks:
        - name: before-{{ model }}
        - loopName: l
          foreach: {domain: {model: [a, b]}}
          tasks: [{name: "in-{{ model }}", x: "{{ model | upper }}"}]
        - name: after-{{ model }}
        """
    spec = compiled(body, {"model": "m"})
    assert spec["description"] == "m"
    assert [task["name"] for task in spec["tasks"]] == ["before-m", "in-a", "in-b", "after-m"]
    assert spec["tasks"][1]["x"] == "A"


def test_jinja_blocks_are_rendered_in_the_loop():
    made = tasks("""
        tasks:
        - loopName: l
          foreach: {domain: {t: {{ enumerate_list(parts) }}}}
          vars: {id: "{{ t.i }}"}
          tasks:
          - __jinja__: |   # tasks of one part
              - name: run-{{ id }}
                {% if not t.is_first %}
                runAfter: [run-{{ t.prev_i }}]
                {% endif %}
                params:
                - {name: config, value: {{ config }}}
                {% for n in range(t.item.n) %}
                - {name: n{{ n }}, value: "{{ n }}"}
                {% endfor %}
                - name: text
                  value: |-
                    {{ config.script }}
          - name: last-{{ id }}
        """)
    assert [task["name"] for task in made] == ["run-0", "last-0", "run-1", "last-1"]
    assert "runAfter" not in made[0]
    assert made[2]["runAfter"] == ["run-0"]
    assert made[0]["params"][0]["value"] == VALUES["config"]
    assert len(made[2]["params"]) == 2 + 4
    assert made[0]["params"][-1]["value"] == VALUES["config"]["script"]


def test_jinja_statements_shape_the_text():
    spec = compiled("""
        {# a comment {{ nowhere }} #}
        {% set base = 'x' ~ tp[0] %}
        {% macro step(name) %}
        - name: {{ name }}
          taskRef: {name: {{ name | dns }}}
        {% endmacro %}
        {% if upload is defined and upload.target %}
        description: never
        {% endif %}
        tasks:  # {{ nowhere }} in a comment of YAML
        {% for model in models %}
        - name: {{ base }}-{{ loop.index }}
        {% endfor %}
        {{ step('A B') | trim }}
        finally:
        - loopName: l
          foreach: {domain: {x: [1]}}
          tasks: [{name: "end-{{ x }}"}]
        """)
    assert [task["name"] for task in spec["tasks"]] == ["x2-1", "x2-2", "A B"]
    assert spec["tasks"][2]["taskRef"] == {"name": "a-b"}
    assert spec["finally"] == [{"name": "end-1"}]
    assert "description" not in spec


def test_a_loop_of_the_text_and_a_loop_node_meet():
    made = tasks("""
        tasks:
        - loopName: l
          foreach: {domain: {x: [1, 2]}}
          tasks:
          {% for model in models %}
          - name: "{{ loop.index }}-{{ model | dns }}-{{ x }}-{{ loop.index ~ x }}"
          {% endfor %}
        """)
    assert [task["name"] for task in made] == [
        "1-llama-7b-1-11",
        "2-qwen-2-5-7b-1-21",
        "1-llama-7b-2-12",
        "2-qwen-2-5-7b-2-22",
    ]


def test_a_long_name_is_cut_and_kept_apart():
    first, second = (tasks("tasks: [{name: {{ n | dns }}}]", {"n": "x" * 80 + end})[0]["name"] for end in "ab")
    assert len(first) == len(second) == 63
    assert first != second


def test_a_run_merges_stack_and_workload_only():
    values = {"stack": {"a": {"b": 1, "c": 2}}, "other": 1}
    run = """
        spec:
          params:
          - {name: stack, value: {a: {b: 9, d: [1]}}}
          - {name: workload, value: {harness: nop}}
          - {name: other, value: 2}
    """
    merged = with_run(values, read_mapping(run, "run.yaml"), "run.yaml")
    assert merged == {"stack": {"a": {"b": 9, "c": 2, "d": [1]}}, "workload": {"harness": "nop"}, "other": 1}
    assert values["stack"]["a"]["b"] == 1
    assert with_run(values, {"kind": "PipelineRun"}, "run.yaml") == values


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("tasks:\n- name: {{ missing }}", "t.j2:6: 'missing' is undefined"),
        ("tasks:\n- name: {{ config.nope }}", "t.j2:6: 'dict object' has no attribute 'nope'"),
        ("tasks:\n- name: {{ models | nofilter }}", "t.j2:6: No filter named 'nofilter'"),
        ("tasks:\n- name: {{ models", "t.j2:6: unexpected end of template"),
        ("tasks:\n- name: x\n   y: z\n", "t.j2:7: after rendering this is not YAML"),
        ("tasks:\n- loopName: l\n  tasks: []", "t.j2:6: loop `l` has no `foreach`"),
        ("tasks:\n- foreach: {domain: {x: [1]}}\n  tasks: []", "t.j2:6: this loop has no `loopName`"),
        ("tasks:\n- loopName: l\n  foreach: {}\n  tasks: []", "loop `l` has no `foreach.domain`"),
        ("tasks:\n- loopName: l\n  foreach: {domain: {x: a}}\n  tasks: []", "domain.x of loop `l` is text, a list"),
        ("tasks:\n- loopName: l\n  foreach: {domain: {x: '{{ tp }}'}}\n  tasks: []", "take the quotes away"),
        ("tasks:\n- loopName: l\n  foreach: {domain: {x: }}\n  tasks: []", "is nothing, a list was expected"),
        ("tasks:\n- loopName: l\n  foreach: {domain: [x]}\n  tasks: []", "is not a mapping of variables"),
        ("tasks:\n- loopName: l\n  foreach: {domain: {x: [1]}}\n  tasks:", "are they indented below `tasks:`?"),
        ("tasks: {a: b}", "`spec.tasks` is not a list"),
        ("tasks:\n- __jinja__: |\n    - x\n  name: y", "beside `__jinja__` nothing may stand"),
        ("tasks:\n- __jinja__: |\n    text", "`__jinja__` makes plain text"),
        ("tasks:\n- __jinja__: 7", "`__jinja__` is not a text"),
        ("tasks:\n- __jinja__: |\n    - name: a\n    - name: {{ nope }}", "t.j2:8: 'nope' is undefined"),
        (
            "tasks:\n- loopName: l\n  foreach: {domain: {x: {{ tp }}}}\n  tasks:\n"
            "  {% if x == 2 %}\n  - name: a\n  {% endif %}",
            "t.j2:9: `x` is the variable of a loop and not known yet",
        ),
        (
            "tasks:\n- loopName: out\n  foreach: {domain: {x: [1]}}\n  tasks:\n  - loopName: in\n"
            "    foreach: {domain: {p: {{ parts }}}}\n    tasks:\n    - name: ok\n"
            "    - name: a\n      v: {{ p.port.nope }}",
            "t.j2:14: 'str object' has no attribute 'nope', in loop `in` (p={'name': 'a', 'port': '8080', 'n': 3}), "
            "in loop `out` (x=1)",
        ),
        (
            "tasks:\n- loopName: l\n  foreach: {domain: {x: [1]}}\n  vars: {v: '{{ x / 0 }}'}\n  tasks: []",
            "t.j2:8: division by zero, in loop `l` (x=1)",
        ),
    ],
)
def test_faults_name_the_line_and_the_loop(body, said):
    with pytest.raises(DocumentError) as caught:
        compiled(body)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "text", "kind: Pipeline\n", "a: 1\n---\nb: 2\n"])
def test_what_is_no_pipeline_is_refused(text):
    with pytest.raises(DocumentError):
        compile_template(text, {}, "t.j2")


@pytest.mark.parametrize(
    ("expression", "unknown"),
    [
        ("\"{{ nmaes | join(',') }}\"", "nmaes"),
        ("'{{ nmaes | tojson }}'", "nmaes"),
        ("'{{ [null, 1] | tojson }}'", "null"),
        ('"{{ nmae }}"', "nmae"),
    ],
)
def test_a_name_that_nothing_defines_is_told(expression, unknown):
    with pytest.raises(DocumentError, match=f"t.j2:8: '{unknown}' is undefined"):
        value(expression)


@pytest.mark.parametrize(
    ("expression", "meant"),
    [
        ("\"{{ nmae or 'x' }}\"", "x"),
        ("\"{{ nmae.a.b | default('x') }}\"", "x"),
        ("\"{{ (nmaes | default(['a', 'b'])) | join('+') }}\"", "a+b"),
        ("\"{{ 'y' if nmae is defined else 'n' }}\"", "n"),
    ],
)
def test_what_may_be_missing_has_a_default(expression, meant):
    assert value(expression) == meant


def test_a_chain_of_treatments_follows_its_neighbours():
    made = tasks("""
        tasks:
        - {name: start, taskRef: {name: t}}
        - loopName: serial
          foreach: {domain: {e: {{ enumerate_list(models) }} }}
          vars: {after: "{{ 'start' if e.is_first else e.prev_item | dns }}"}
          tasks: [{name: "{{ e.item | dns }}", taskRef: {name: t}, runAfter: ["{{ after }}"]}]
    """)
    assert [task.get("runAfter") for task in made] == [None, ["start"], ["llama-7b"]]
