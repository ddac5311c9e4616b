"""The oracles themselves: a comparison that cannot fail proves nothing."""

from __future__ import annotations

import json

import pytest
from harness.corpus import Exchange, pieces
from harness.gateway import toml
from harness.replayed import check_reply, check_request
from harness.splice import with_model, without_include_usage, without_meta
from harness.upstream import Request, Upstream, chunk, reply_json, stream
from harness.wire import Reply, call, sse_data


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"crossway":{"x":"}"}}',
        b'{"crossway":{"x":1},"a":1}',
        b'{"a":1,"crossway":{"x":[1,{"y":2}]}}',
    ],
)
def test_our_member_is_taken_out(body: bytes) -> None:
    assert without_meta(body)[0] == b'{"a":1}'
    assert without_meta(body)[1]


def test_everything_else_stays() -> None:
    for body in (b'{"a":{"crossway":1}}', b"[DONE]", b'{"a":"crossway"}', b'{\n "a": 1\n}\n'):
        assert without_meta(body) == (body, None)
    spaced = b'{\n "a": 1,"crossway":{}\n}\n'
    assert without_meta(spaced)[0] == b'{\n "a": 1\n}\n'


def test_only_the_model_changes() -> None:
    assert with_model(b'{"x":{"model":"n"}, "model" : "a", "z":1}', "b") == b'{"x":{"model":"n"}, "model" : "b", "z":1}'
    assert json.loads(with_model(b'{"x":1}', "b")) == {"model": "b", "x": 1}


def test_forced_usage_is_taken_out() -> None:
    assert without_include_usage(b'{"a":1,"stream_options":{"include_usage":true}}') == b'{"a":1}'
    assert without_include_usage(b'{"stream_options":{"include_usage":true},"a":1}') == b'{"a":1}'


def test_events_are_read_as_the_specification_says() -> None:
    assert sse_data(b"\xef\xbb\xbf: hi\r\n\r\ndata: a\r\ndata:b\r\n\r\nevent: x\n\n") == [b"a\nb"]


def exchange(response: bytes, streamed: bool = False, status: int = 200, request: bytes = b'{"model":"m"}') -> Exchange:
    kind = "text/event-stream" if streamed else "application/json"
    return Exchange(
        id="x-1",
        provider="x",
        endpoint="chat.completions",
        fidelity="verbatim",
        features=frozenset(),
        path="/v1/chat/completions",
        asked={},
        request=request,
        status=status,
        headers={"content-type": kind},
        response=response,
        cuts=(),
    )


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, [], body, whole=True)


def test_a_changed_byte_is_found() -> None:
    recorded = exchange(b'{"a": 1}')
    assert check_reply(recorded, reply(b'{"a": 1,"crossway":{}}')) is None
    assert "no meta" in (check_reply(recorded, reply(b'{"a": 1}')) or "")
    assert "body" in (check_reply(recorded, reply(b'{"a":1,"crossway":{}}')) or "")


def test_a_changed_stream_is_found() -> None:
    recorded = exchange(b'data: {"a":1}\n\ndata: {"choices":[],"usage":{"t":1}}\n\ndata: [DONE]\n\n', streamed=True)
    assert check_reply(recorded, reply(b'data: {"a":1,"crossway":{}}\n\ndata: [DONE]\n\n')) is None
    for wrong in (
        b'data: {"a":2,"crossway":{}}\n\ndata: [DONE]\n\n',
        b'data: {"a":1}\n\ndata: [DONE]\n\n',
        b'data: {"a":1,"crossway":{}}\n\n',
        b'data: {"a":1,"crossway":{}}\n\ndata: {"choices":[],"usage":{"t":1}}\n\ndata: [DONE]\n\n',
    ):
        assert check_reply(recorded, reply(wrong)), wrong


def test_a_lost_error_is_found() -> None:
    body = {"message": "no such model", "type": "t", "param": None, "code": "c"}
    recorded = exchange(b'{"error":{"message":"no such model"}}', status=404)
    assert check_reply(recorded, reply(json.dumps({"error": body}).encode(), 400)) is None
    assert check_reply(recorded, reply(json.dumps({"error": body | {"message": "sorry"}}).encode(), 400))
    assert check_reply(recorded, reply(json.dumps({"error": body}).encode(), 502))


def test_a_broken_stream_must_stay_broken() -> None:
    recorded = exchange(b'data: {"a":1}\n\ndata: {"error":{"message":"late"}}\n\n', streamed=True)
    assert check_reply(recorded, reply(b'data: {"a":1}\n\ndata: {"error":{"message":"late"}}\n\n')) is None
    assert check_reply(recorded, reply(b'data: {"a":1}\n\ndata: [DONE]\n\n'))


def test_a_changed_request_is_found() -> None:
    recorded = exchange(b"", request=b'{"model":"m","stream":true,"n":1}')

    def seen(body: bytes) -> tuple[str | None, bool]:
        return check_request(recorded, Request("POST", "/", [], body))

    assert seen(b'{"model":"x","stream":true,"n":1}') == (None, True)
    assert seen(b'{"model":"x","stream":true,"n":1,"stream_options":{"include_usage":true}}') == (None, True)
    assert seen(b'{"model":"x","n":1,"stream":true}') == (None, False)
    assert seen(b'{"model":"x","stream":true,"n":2}')[0]


def test_cuts_keep_every_byte() -> None:
    body = b"data: 1\n\ndata: 2\r\n\r\ndata: 3\n\n"
    whole = exchange(body, streamed=True)
    cut = Exchange(*[getattr(whole, name) for name in list(Exchange.__dataclass_fields__)[:-1]], cuts=(3, 4))
    assert b"".join(pieces(whole)) == body and len(pieces(whole)) == 3
    assert b"".join(pieces(cut)) == body and len(pieces(cut)) == 3


def test_the_scripted_upstream_serves_bytes_and_keeps_a_journal() -> None:
    upstream = Upstream(lambda request: reply_json({"path": request.path}))
    try:
        assert call(upstream.url, "/x", {"a": 1}).json == {"path": "/x"}
        assert upstream.wait(lambda served: served.completed).request.json == {"a": 1}
        upstream.script = lambda request: stream([b"data: 1\n\n", b"data: 2\n\n"])
        streamed = call(upstream.url, "/y", b"z")
        assert streamed.whole and streamed.chunks == [b"data: 1\n\n", b"data: 2\n\n"]
        assert chunk(b"abc") == b"3\r\nabc\r\n"
    finally:
        upstream.close()


def test_configuration_is_written_as_toml() -> None:
    import tomllib

    config = {"providers": {"a": {"kind": "x", "n": 1}}, "listen": "y", "models": [{"slug": "m"}], "on": True}
    assert tomllib.loads(toml(config)) == config
