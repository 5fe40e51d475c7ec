"""The language model behind the grammar, against a scripted endpoint on a socket of its own."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from servelab.request.language_model import Endpoint, LanguageModelError, configured, helped
from servelab.request.said import Question, Request, Understanding

KEY = "sk-very-secret"
PATIENCE = 120.0  # seconds: a busy machine is no fault of an endpoint
IMPATIENCE = 0.3  # seconds, with an endpoint that never comes to an end


class Script(BaseHTTPRequestHandler):
    """Answers as the server's ``answer`` says, and keeps what it was asked."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, dict(self.headers), body))
        self.server.answer(self)

    def give(self, body: bytes, status: int = 200, **headers: str):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def say(self, content):
        text = content if isinstance(content, str) else json.dumps(content)
        self.give(json.dumps({"choices": [{"message": {"content": text}}]}).encode())

    def log_message(self, *arguments):
        del arguments


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Script) as found:
        found.asked = []
        found.over = threading.Event()
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.over.set()
        found.shutdown()
        thread.join()


def endpoint(server, timeout=PATIENCE):
    return Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "reader", KEY, timeout)


def understood(*leftover, questions=(), **fields):
    return Understanding(request=Request(**fields), leftover=leftover, questions=questions)


def test_what_is_left_over_is_sent_with_the_schema_and_merged(server):
    server.answer = lambda call: call.say({"namespace": "mert", "engine_args": {"--seed": 7}})
    found = helped(understood("im Namensraum mert, Saat 7", model="a/b"), endpoint(server))
    assert (found.request.model, found.request.namespace) == ("a/b", "mert")
    assert found.request.engine_args == {"--seed": 7}
    assert set(found.by_model) == {"namespace", "--seed"}
    assert found.leftover == ()
    told = "the language model made namespace, --seed of 'im Namensraum mert, Saat 7', and nothing else"
    assert found.warnings == (told,)
    path, headers, body = server.asked[0]
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body["model"] == "reader"
    assert body["messages"][1]["content"] == "im Namensraum mert, Saat 7"
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema == Request.model_json_schema()


def test_what_the_grammar_understood_stays(server):
    server.answer = lambda call: call.say(
        {
            "model": "evil/model",
            "namespace": "evil",
            "max_num_seqs": 1,
            "tensor_parallelism": [8],
            "engine_args": {"--dtype": "half", "--seed": 1},
            "profile": {"prompt": {"mean": 1, "stdev": 5}},
        }
    )
    asked = Question(parameter="namespace", kind="ambiguous", text="which?")
    heard = understood(
        "noise",
        questions=(asked,),
        model="a/b",
        max_num_seqs=64,
        engine_args={"--dtype": "auto"},
        profile={"prompt": {"mean": 500}},
    )
    found = helped(heard, endpoint(server))
    assert (found.request.model, found.request.max_num_seqs, found.request.namespace) == ("a/b", 64, None)
    assert found.request.engine_args == {"--dtype": "auto", "--seed": 1}
    assert (found.request.profile.prompt.mean, found.request.profile.prompt.stdev) == (500, 5)
    assert set(found.by_model) == {"tensor_parallelism", "--seed", "profile"}
    assert found.questions == (asked,)


def test_nothing_is_sent_when_nothing_is_left_over(server):
    server.answer = lambda call: call.say({"namespace": "mert"})
    heard = understood(model="a/b")
    assert helped(heard, endpoint(server)) == heard
    assert server.asked == []


def never(call):
    call.server.over.wait()


def in_drops(call):
    call.send_response(200)
    call.send_header("Content-Length", "1000000")
    call.end_headers()
    with contextlib.suppress(OSError):  # who asked has gone
        while not call.server.over.wait(0.05):
            call.wfile.write(b" ")
            call.wfile.flush()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda call: call.say("no JSON at all"), "no JSON"),
        (lambda call: call.say([1, 2]), "does not fit"),
        (lambda call: call.say({"favourite_colour": "blue"}), "does not fit"),
        (lambda call: call.say({"max_num_seqs": "many"}), "does not fit"),
        (lambda call: call.give(b"{}"), "no JSON of the kind"),
        (lambda call: call.give(b"<html>"), "no JSON"),
        (lambda call: call.give(KEY.encode(), 500), "status 500"),
        (lambda call: call.give(b"", 401), "status 401"),
        (lambda call: call.give(b"", 302, Location="http://127.0.0.1:9/elsewhere"), "status 302"),
        (lambda call: call.wfile.write(b"no HTTP at all\r\n\r\n"), "cannot be reached"),
        (lambda call: call.connection.close(), "cannot be reached"),
    ],
)
def test_nonsense_and_silence_fall_back_to_questions(server, answer, told):
    server.answer = answer
    heard = understood("something", model="a/b")
    assert_no_help(heard, helped(heard, endpoint(server)), told)


@pytest.mark.parametrize("answer", [never, in_drops])
def test_an_answer_that_does_not_end_is_not_waited_for(server, answer):
    server.answer = answer
    heard = understood("something", model="a/b")
    assert_no_help(heard, helped(heard, endpoint(server, IMPATIENCE)), "it took more than 0.3 s")


def assert_no_help(heard, found, told):
    assert (found.request, found.leftover, found.by_model) == (heard.request, heard.leftover, ())
    assert told in found.warnings[0]
    assert KEY not in found.model_dump_json()


def test_an_endpoint_that_is_not_there():
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # and does not listen
        found = helped(understood("something"), Endpoint(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1", "reader", KEY))
    assert "cannot be reached" in found.warnings[0]


def test_what_the_model_says_is_checked_like_everything_else(server):
    from servelab.request.settle import settle
    from tests.request.given import facts

    server.answer = lambda call: call.say(
        {"namespace": "$(id)", "experiment_id": "../x", "engine_args": {"--a": "`b`"}}
    )
    found = settle(helped(understood("noise", model="a/b"), endpoint(server)), facts())
    assert found.experiment_id == "x"
    assert {question.parameter for question in found.questions} == {"namespace", "--a"}
    assert found.engine_args == {}


def test_the_key_is_never_shown(monkeypatch):
    for name, value in (("BASE_URL", "http://127.0.0.1:1/v1/"), ("MODEL", "m"), ("API_KEY", KEY)):
        monkeypatch.setenv(f"SERVELAB_LLM_{name}", value)
    found = configured()
    assert (found.url, found.model, found.key) == ("http://127.0.0.1:1/v1", "m", KEY)
    assert KEY not in repr(found)


def test_a_wrong_configuration_is_told(monkeypatch):
    for name in ("BASE_URL", "MODEL", "API_KEY"):
        monkeypatch.delenv(f"SERVELAB_LLM_{name}", raising=False)
    assert configured() is None
    monkeypatch.setenv("SERVELAB_LLM_BASE_URL", "file:///etc/passwd")
    with pytest.raises(LanguageModelError, match="no http"):
        configured()
    monkeypatch.setenv("SERVELAB_LLM_BASE_URL", "http://127.0.0.1/v1")
    with pytest.raises(LanguageModelError, match="SERVELAB_LLM_MODEL"):
        configured()
