import re

import pytest

from thermidora import (
    AgentError,
    ApiConnectionError,
    ApiError,
    CallOptions,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    ThermidoraError,
    UnauthorizedError,
)

LOST = {"kind": "lose-request"}


def limited(seconds):
    return {"kind": "answer", "status": 429, "headers": {"retry-after": str(seconds)}, "body": "{}"}


def test_a_call_answers_the_json_of_the_api_with_its_path_query_and_body(driver, client):
    tier = f"a b&c {driver.is_async}"
    created = driver.run(client.instances.create({"name": "typed", "metadata": {"tier": tier}}, {"wait": 0}))
    assert created["status"] == "provisioning"
    found = driver.run(client.instances.list({"metadata": {"tier": tier}}).page())
    assert [one["instanceId"] for one in found["instances"]] == [created["instanceId"]]
    deleted = driver.run(client.instances.delete(created["instanceId"]))
    assert deleted == {"instanceId": created["instanceId"], "status": "destroying"}


def test_a_call_whose_request_or_answer_is_lost_or_which_is_refused_on_its_way_is_done_once(driver, client, proxy):
    gone = {"kind": "answer", "status": 502, "body": "<html>Bad gateway</html>"}
    name = f"once-{driver.is_async}"
    proxy.expect(LOST, {"kind": "lose-answer"}, gone, limited(0))
    key = driver.run(client.keys.create({"name": name}))
    sent = proxy.seen()
    assert len(sent) == 5
    assert len({one["key"] for one in sent}) == 1
    keys = list(driver.each(client.keys.list()))
    assert [one["keyId"] for one in keys if one["name"] == name] == [key["keyId"]]


def test_calls_that_change_something_have_a_key_each_or_the_one_that_they_are_given(driver, client, proxy):
    mine = f"mine-{driver.is_async}"
    driver.run(client.keys.create({"name": "one"}))
    driver.run(client.keys.create({"name": "two"}))
    driver.run(client.keys.create({"name": "three"}, CallOptions(idempotency_key=mine)))
    driver.run(client.auth.me())
    first, second, third, fourth = [one["key"] for one in proxy.seen()]
    assert re.fullmatch(r"[\da-f-]{36}", first) and re.fullmatch(r"[\da-f-]{36}", second) and first != second
    assert (third, fourth) == (mine, None)


def test_a_call_without_a_key_is_sent_once_and_another_one_gives_up_after_its_retries(driver, client, proxy):
    proxy.expect(LOST)
    with pytest.raises(ApiConnectionError):
        driver.run(client.auth.login({"email": "ada@example.com"}))
    assert len(proxy.seen()) == 1
    proxy.expect(LOST, LOST, LOST)
    with pytest.raises(ApiConnectionError):
        driver.run(client.auth.me(CallOptions(max_retries=2)))
    assert len(proxy.seen()) == 3
    proxy.expect(limited(61))
    with pytest.raises(ApiError) as refused:
        driver.run(client.auth.me())
    assert (refused.value.status, len(proxy.seen())) == (429, 1)


def test_a_refusal_is_an_error_of_its_code_with_the_request_id_and_the_fields_to_change(driver, client, proxy):
    with pytest.raises(InvalidRequestError) as refused:
        driver.run(client.instances.create({"name": ""}))
    error = refused.value
    assert isinstance(error, ThermidoraError)
    assert (error.code, error.status, error.retryable) == ("invalid_request", 400, False)
    assert error.request_id.startswith("req_") and [one["path"] for one in error.details] == ["name"]
    with pytest.raises(NotFoundError):
        driver.run(client.instances.get("inst_nothingnothing00"))
    same = CallOptions(idempotency_key=f"same-{driver.is_async}")
    driver.run(client.keys.create({"name": "a"}, same))
    with pytest.raises(ConflictError):
        driver.run(client.keys.create({"name": "b"}, same))
    with pytest.raises(UnauthorizedError):
        driver.run(driver.new(api_key="tc_live_nothing").auth.me())
    assert len(proxy.seen()) == 5


def test_an_id_that_would_lead_to_another_path_is_refused_before_anything_is_sent(driver, client, proxy, place):
    for name in ("", ".", ".."):
        with pytest.raises(ThermidoraError):
            driver.run(client.skills.delete(place[0], name))
    assert proxy.seen() == []


def test_a_list_goes_through_all_its_pages(driver, client, proxy, place):
    names = [one["name"] for one in driver.each(client.crons.list(*place, {"limit": 2}))]
    assert sorted(names) == ["p1", "p2", "p3"]
    assert len(proxy.seen()) == 2


def test_wait_until_running_answers_what_runs_and_raises_for_what_will_not_or_not_in_time(driver, client, place):
    assert driver.run(client.instances.wait_until_running(place[0]))["status"] == "running"
    instance_id = driver.run(client.instances.create({"name": "never"}))["instanceId"]
    with pytest.raises(ThermidoraError, match="does not run yet: its status is provisioning"):
        driver.run(client.instances.wait_until_running(instance_id, timeout=0.001))
    driver.run(client.instances.delete(instance_id))
    with pytest.raises(ThermidoraError, match="will not run: its status is destroying"):
        driver.run(client.instances.wait_until_running(instance_id))


def test_a_message_is_answered_once_whatever_is_lost_on_its_way(driver, client, proxy, place, session):
    proxy.expect({"kind": "lose-answer"}, LOST)
    reply = driver.run(client.messages.send(*place, {"message": "[[SAY The answer.]]", "sessionId": session}))
    assert (reply["content"], reply["status"]) == ("The answer.", "completed")
    assert len(list(driver.each(client.messages.list(*place, {"sessionId": session})))) == 2


def test_a_message_whose_turn_fails_is_an_agent_error_that_names_the_reply(driver, client, place, session):
    with pytest.raises(AgentError) as failed:
        driver.run(client.messages.send(*place, {"message": "[[FAIL 400]]", "sessionId": session}))
    assert failed.value.message_id.startswith("msg_") and failed.value.reason


def test_a_streamed_reply_comes_in_words_and_is_then_what_the_api_has_stored(driver, client, place, session):
    reply = client.messages.send_and_stream(*place, {"message": "[[WORDS 5]]", "sessionId": session})
    parts = list(driver.each(reply))
    assert "".join(part["text"] for part in parts if part["type"] == "text") == "w1 w2 w3 w4 w5"
    assert (parts[-1]["type"], parts[-1]["finishReason"]) == ("end", "stop")
    stored = driver.run(reply.message())
    assert (stored["messageId"], stored["content"]) == (reply.message_id, "w1 w2 w3 w4 w5")


def test_a_streamed_reply_whose_connection_is_lost_goes_on_with_the_next_word_and_is_one_message(
    driver, client, proxy, place, session
):
    proxy.expect({"kind": "cut-after", "text": "w2"})
    reply = client.messages.send_and_stream(*place, {"message": "[[WORDS 5]]", "sessionId": session})
    assert "".join(driver.each(reply.text())) == "w1 w2 w3 w4 w5"
    assert len(proxy.seen()) > 1
    assert len(list(driver.each(client.messages.list(*place, {"sessionId": session})))) == 2


def test_the_stream_of_events_goes_on_over_lost_connections_each_once_and_without_a_gap(
    driver, client, proxy, place, session
):
    before = driver.run(client.events.list({"limit": 1}).page())["latestSeq"] or 0

    def ask(text):
        return driver.run(client.messages.send(*place, {"message": f"[[SAY {text}]]", "sessionId": session}))

    first = ask("one")
    proxy.expect(LOST, {"kind": "cut-after", "text": first["messageId"]})
    seen = []
    for event in driver.each(client.events.stream(after=before)):
        seen.append(event["seq"])
        if len(seen) == 3:
            break
        ask(f"more {len(seen)}")
    assert seen == [before + 1, before + 2, before + 3]


def test_a_stream_ends_with_the_error_of_the_api_when_its_key_is_revoked(driver, client):
    key = driver.run(client.keys.create({"name": "short"}))
    driver.run(client.keys.revoke(key["keyId"]))
    with pytest.raises(UnauthorizedError):
        next(driver.each(driver.new(api_key=key["apiKey"]).events.stream()))


def test_the_stream_of_instances_tells_each_change(driver, client):
    instance_id = driver.run(client.instances.create({"name": "followed"}))["instanceId"]
    names = []
    for change in driver.each(client.instances.stream({"instanceId": instance_id})):
        names.append(change["name"])
        if len(names) == 2:
            break
        driver.run(client.instances.update(instance_id, {"name": "renamed"}))
    driver.run(client.instances.delete(instance_id))
    assert names == ["followed", "renamed"]


def test_a_key_and_a_token_together_are_an_error_of_the_library(driver):
    with pytest.raises(ThermidoraError):
        driver.new(api_key="tc_live_nothing", token="nothing")


def test_a_file_goes_up_and_comes_down_in_pieces_byte_for_byte(driver, client, place):
    pieces = [bytes([number]) * 64 * 1024 for number in range(40)]

    async def later():
        for piece in pieces:
            yield piece

    body = later() if driver.is_async else iter(pieces)
    path = f"from python/{driver.is_async}.bin"
    stored = driver.run(client.files.put(*place, path, body))
    assert stored["size"] == 40 * 64 * 1024
    response = driver.run(client.files.get(*place, path))
    read = response.aiter_bytes() if driver.is_async else response.iter_bytes()
    assert b"".join(driver.each(read)) == b"".join(pieces)
    driver.run(response.aclose() if driver.is_async else response.close())
    driver.run(client.files.delete(*place, path))
