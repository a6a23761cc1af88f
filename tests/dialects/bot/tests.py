"""What a bot may do with a caller, and what it is told. The rows are those of the dialect's failure table."""

import json
import pathlib
import shutil
import subprocess
import sys
import time
import wave

from phone import wait_until
from stage import (BOT, CARRIER, CUSTOMER, OPERATOR, follow_refer, header, methods, refuse_refer, user)

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "examples" / "bot" / "bot.py"


def test(**options):
    def mark(function):
        function.is_test, function.options = True, options
        return function
    return mark


def gone(call):
    wait_until(lambda: call.state == "ended", 10, lambda: f"{call.phone.name} is {call.state}")
    return call.ended_by


# --- turns -----------------------------------------------------------------------------------------------------------

@test()
def a_caller_talks_with_a_bot_by_keys(on):
    on.script.says("/start", on.beep)
    on.script.says("12", {"type": "buttons", "buttons": [{"text": "x"}]}, {"type": "text", "text": "Bye"}, {"type": "hangup"})
    call = on.call()
    on.hear_bot(call)
    call.hears_not(BOT)
    on.press(call, "12")
    assert gone(call) == "them"
    first, query = on.script.wait_for("/start"), on.script.wait_for("12")
    assert first["channelType"] == "resterisk" and first["version"] == 1 and first["channelBotId"] == "robot", first
    assert first["rawRequest"]["caller"] == first["userFrom"]["id"] == "+493012345" and first["rawRequest"]["extension"] == "5000", first
    assert first["questionId"] != query["questionId"]
    on.script.wait_for("botHangup")
    assert on.script.count("hangup") == 0
    assert any("buttons" in event["why"] for event in on.events("webhook.failed")), on.events("webhook.failed")
    missing = on.events("media.prompt_missing")
    if any(shutil.which(program) for program in ("espeak-ng", "espeak", "flite")):
        assert not missing, missing
    else:
        assert missing and "bot reply" in missing[0]["prompt"], "a text that nobody can speak is told"


@test()
def a_customer_who_hangs_up_is_told_to_the_bot(on):
    on.script.says("/start", on.beep)
    call = on.call()
    on.hear_bot(call)
    call.hang_up()
    on.script.wait_for("hangup")
    assert on.script.count("botHangup") == 0
    record = on.record()
    assert len(record["legs"]) == 1 and record["from"].startswith("sip:+493012345@"), record


@test(channel="", more="")
def the_example_bot_serves_a_caller(on):
    port = on.server.server_address[1]
    on.server.shutdown(), on.server.server_close()
    bot = subprocess.Popen([sys.executable, str(EXAMPLE), f"{on.host}:{port}", "1001"], stderr=subprocess.DEVNULL)
    try:
        on.operator.register()
        time.sleep(0.5)
        call = on.call()
        on.press(call, "1")
        at_operator = on.operator.incoming()
        assert user(header(at_operator, "P-Asserted-Identity")) == "+493012345"
        at_operator.answer().wait("confirmed")
        call.hears(OPERATOR), at_operator.hears(CUSTOMER)
        at_operator.hang_up()
        time.sleep(1)
        assert call.state == "confirmed", "the customer is back with the bot"
        on.press(call, "0")
        assert gone(call) == "them"
    finally:
        bot.kill(), bot.wait()
    record = on.record()
    assert [user(leg["party"]) for leg in record["legs"]] == ["+493012345", "1001"], record


# --- nobody comes ----------------------------------------------------------------------------------------------------

def refused(on, status, continue_call):
    on.operator.register()
    on.switch(continueCall=continue_call, timeout="2")
    call = on.call()
    at_operator = on.operator.incoming()
    if status is None:
        assert gone(at_operator) == "them" and "CANCEL" in methods(at_operator)
    else:
        at_operator.reject(status, "No")
    assert on.script.status("FAIL") == {"status": "FAIL", "hangup": False, "number": "1001"}
    if continue_call:
        on.hear_bot(call)
        assert call.state == "confirmed"
        call.hang_up()
        on.script.wait_for("hangup")
    else:
        assert gone(call) == "them" and "BYE" in methods(call)
    record = on.record()
    assert len(record["legs"]) == 2 and record["legs"][1]["answered_at"] is None, record


@test()
def busy_and_the_bot_goes_on(on):
    refused(on, 486, True)


@test()
def busy_and_bye(on):
    refused(on, 486, False)


@test()
def declined_and_the_bot_goes_on(on):
    refused(on, 603, True)


@test()
def declined_and_bye(on):
    refused(on, 603, False)


@test()
def server_failure_and_the_bot_goes_on(on):
    refused(on, 500, True)


@test()
def no_answer_in_time_and_the_bot_goes_on(on):
    refused(on, None, True)


@test()
def no_answer_in_time_and_bye(on):
    refused(on, None, False)


@test()
def a_number_that_leads_nowhere_and_the_bot_goes_on(on):
    on.switch("4711", continueCall=True)
    call = on.call()
    assert on.script.status("FAIL") == {"status": "FAIL", "hangup": False, "number": "4711"}
    on.hear_bot(call)


@test()
def a_number_that_leads_nowhere_and_bye(on):
    on.switch("4711")
    call = on.call()
    assert on.script.status("FAIL")["hangup"] is False
    assert gone(call) == "them"


# --- the customer hangs up while it rings ----------------------------------------------------------------------------

def customer_gives_up(on, continue_call):
    on.operator.register()
    on.switch(continueCall=continue_call)
    call = on.call()
    at_operator = on.operator.incoming()
    call.hang_up()
    assert gone(at_operator) == "them" and "CANCEL" in methods(at_operator)
    assert on.script.status("FAIL") == {"status": "FAIL", "hangup": True, "number": "1001"}
    on.record()


@test()
def a_customer_who_gives_up_while_it_rings(on):
    customer_gives_up(on, True)


@test()
def a_customer_who_gives_up_while_it_rings_for_good(on):
    customer_gives_up(on, False)


# --- somebody comes --------------------------------------------------------------------------------------------------

def talking(on, **fields):
    on.operator.register()
    on.switch(**fields)
    call = on.call()
    at_operator = on.operator.incoming()
    at_operator.answer().wait("confirmed")
    call.hears(OPERATOR)
    at_operator.hears(CUSTOMER)
    return call, at_operator


@test()
def an_operator_who_hangs_up_gives_the_customer_back(on):
    call, at_operator = talking(on, continueCall=True)
    at_operator.hang_up()
    assert on.script.status("SUCCESS") == {"status": "SUCCESS", "hangup": False, "number": "1001"}
    on.hear_bot(call)
    call.hears_not(OPERATOR)
    assert call.state == "confirmed"
    on.press(call, "7")
    on.script.wait_for("7")
    call.hang_up()
    on.script.wait_for("hangup")
    record = on.record()
    operator = record["legs"][1]
    assert user(operator["party"]) == "1001" and operator["answered_at"] and operator["cause"] == "party", record


@test()
def an_operator_who_hangs_up_ends_the_call(on):
    call, at_operator = talking(on)
    at_operator.hang_up()
    assert on.script.status("SUCCESS") == {"status": "SUCCESS", "hangup": False, "number": "1001"}
    assert gone(call) == "them" and "BYE" in methods(call)
    on.record()


def customer_leaves(on, continue_call):
    call, at_operator = talking(on, continueCall=continue_call)
    call.hang_up()
    assert gone(at_operator) == "them" and "BYE" in methods(at_operator)
    assert on.script.status("SUCCESS") == {"status": "SUCCESS", "hangup": True, "number": "1001"}
    assert on.script.count("FAIL") == 0
    on.record()


@test()
def a_customer_who_hangs_up_on_the_operator(on):
    customer_leaves(on, True)


@test()
def a_customer_who_hangs_up_on_the_operator_for_good(on):
    customer_leaves(on, False)


@test()
def every_field_of_a_switch_is_seen_on_the_wire(on):
    shown = {"P-Asserted-Identity": "<sip:+493012345@example.test>", "X-Reason": "billing; urgent"}
    on.switch("+4940999", transferChannel="trunk", headers=shown, timeout=9, continueCall=True)
    call = on.call()
    at_carrier = on.carrier.incoming(ring=False)
    assert user(at_carrier.invite.start.split()[1]) == "+4940999", "without registration, by the peer"
    assert header(at_carrier, "P-Asserted-Identity") == shown["P-Asserted-Identity"]
    assert header(at_carrier, "X-Reason") == shown["X-Reason"]
    assert user(header(at_carrier, "From")) == "+493012345", "the customer's number is shown"
    at_carrier.ring().answer().wait("confirmed")
    call.hears(CARRIER), at_carrier.hears(CUSTOMER)
    at_carrier.hang_up()
    assert on.script.status("SUCCESS")["number"] == "+4940999"
    on.hear_bot(call)


@test()
def an_address_instead_of_a_number(on):
    on.operator.register()
    on.script.says("/start", {"type": "switch", "sipUri": "sip:1001@example.test"})
    call = on.call()
    on.operator.incoming().answer().wait("confirmed")
    call.hears(OPERATOR)
    call.hang_up()
    assert on.script.status("SUCCESS")["number"] == "1001"


@test()
def headers_that_are_sips_own_are_no_transfer(on):
    on.operator.register()
    on.switch(headers={"Route": "<sip:evil.test;lr>"}, continueCall=True)
    call = on.call()
    assert on.script.status("FAIL")["hangup"] is False
    on.hear_bot(call)
    assert on.operator.new.empty(), "nobody was called"


# --- REFER -----------------------------------------------------------------------------------------------------------

@test()
def a_customer_who_follows_a_refer_is_somewhere_else(on):
    on.switch(method="refer", continueCall=True)
    on.customer.on_refer = follow_refer(100, 180, 200)
    call = on.call()
    assert on.script.status("SUCCESS") == {"status": "SUCCESS", "hangup": False, "number": "1001"}
    refer = next(message for message in call.requests if message.method == "REFER")
    assert user(refer.get("refer-to")) == "1001"
    assert gone(call) == "them", "the edge drops out"
    assert on.operator.new.empty()


@test()
def a_refer_that_is_refused_leaves_the_customer_with_the_bot(on):
    on.switch(method="refer")
    on.customer.on_refer = refuse_refer
    call = on.call()
    assert on.script.status("FAIL") == {"status": "FAIL", "hangup": False, "number": "1001"}
    on.hear_bot(call)


@test()
def a_refer_whose_target_is_busy_leaves_the_customer_with_the_bot(on):
    on.switch(method="refer", continueCall=True)
    on.customer.on_refer = follow_refer(100, 486)
    call = on.call()
    assert on.script.status("FAIL") == {"status": "FAIL", "hangup": False, "number": "1001"}
    on.hear_bot(call)


# --- recording -------------------------------------------------------------------------------------------------------

def recorded(on, continue_recording):
    """How long the recording is beside the talk with the operator, which takes two seconds."""
    call, at_operator = talking(on, continueCall=True, continueRecording=continue_recording)
    time.sleep(2)
    at_operator.hang_up()
    on.hear_bot(call)
    call.hang_up()
    finished = on.wait_for_event("media.recording_finished")
    record = on.record()
    assert [kept["recording"] for kept in record["recordings"]] == [finished["recording"]], record
    file = on.folder / "recordings" / f"{finished['recording']}.wav"
    with wave.open(str(file)) as audio:
        return audio.getnframes() / audio.getframerate()


@test(channel="record = true", recordings=True)
def a_recording_spans_the_operators_part_and_the_return(on):
    seconds = recorded(on, True)
    assert seconds > 2, seconds


@test(channel="record = true", recordings=True)
def a_recording_ends_with_the_bots_part(on):
    seconds = recorded(on, False)
    assert seconds < 2, seconds


# --- bots that fail --------------------------------------------------------------------------------------------------

@test(door=False)
def a_bot_that_is_not_there_is_told_and_ends_the_call(on):
    call = on.customer.call("sip:5000@example.test")
    assert gone(call) == "them"
    assert on.events("webhook.failed")[0]["to"] == on.url


@test(door=False, channel='fallback = "sip:1001@example.test"')
def a_bot_that_is_not_there_is_replaced_by_the_fallback(on):
    on.operator.register()
    call = on.call()
    on.operator.incoming().answer().wait("confirmed")
    call.hears(OPERATOR)


def broken(on, fault):
    on.operator.register()
    on.server.fault = fault
    call = on.call()
    on.operator.incoming(seconds=20).answer().wait("confirmed")
    call.hears(OPERATOR)
    assert on.server.asked == 2, "twice, and no more"
    told = on.events("webhook.failed")[0]
    assert told["to"] == on.url, "no path, no token"


def answers(status=200, body=b"{}", headers=()):
    def fault(door):
        door.send_response(status)
        for name, value in headers:
            door.send_header(name, value)
        door.send_header("Content-Length", str(len(body)))
        door.end_headers()
        door.wfile.write(body)
    return fault


@test(channel='fallback = "sip:1001@example.test"')
def a_bot_that_answers_500(on):
    broken(on, answers(500))


@test(channel='fallback = "sip:1001@example.test"')
def a_bot_that_answers_rubbish(on):
    broken(on, answers(body=b"<html>"))


@test(channel='fallback = "sip:1001@example.test"')
def a_bot_that_redirects(on):
    broken(on, answers(302, headers=[("Location", "http://127.0.0.1:1/")]))


@test(channel='fallback = "sip:1001@example.test"')
def a_bot_that_answers_without_end(on):
    def fault(door):
        door.send_response(200)
        door.end_headers()
        for _ in range(200):
            door.wfile.write(b" " * 65536)
    broken(on, fault)


@test(channel='fallback = "sip:1001@example.test"')
def a_bot_that_never_answers(on):
    broken(on, lambda door: time.sleep(7))


# --- the rest of the contract ----------------------------------------------------------------------------------------

@test(channel="ringing = true")
def a_bot_may_refuse_a_call_that_rings(on):
    on.script.says("ringing", {"type": "hangup"})
    call = on.customer.call("sip:5000@example.test").wait("ended")
    assert call.status == 603, call.status


@test()
def a_bot_finds_its_channels_by_its_token(on):
    status, body = on.edge.request("GET", "/restapi/external-bot/token-of-the-bot/channels")
    assert status == 200 and [(one["channel"], one["channelType"]) for one in body] == [("robot", "resterisk")], body
    assert on.edge.request("GET", "/restapi/external-bot/token-of-another/channels")[0] == 404
    assert on.edge.request("POST", "/restapi/external-bot/token-of-the-bot/processLogs", json.loads("{}"))[0] == 200


@test(silence=1)
def a_customer_who_presses_nothing_is_told_to_the_bot(on):
    on.script.says("noDtmfAnswerEvent", {"type": "hangup"})
    assert gone(on.call()) == "them"
    on.script.wait_for("noDtmfAnswerEvent")
