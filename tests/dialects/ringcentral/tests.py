"""What the vendor's clients must see. Names of tests are names of behaviours."""

import asyncio
import json
import threading

from ringcentral import SDK
from ringcentral.http.api_exception import ApiException
from ringcentral.websocket.events import WebSocketEvents

from phone import wait_until
from stage import CLIENT, Refused, check_shapes, jwt, short

TRUNK_IN = ["p-1 Setup", "p-2 Setup", "p-2 Proceeding", "p-1 Answered", "p-2 Answered"]
INTERNAL = ["p-1 Setup", "p-2 Setup", "p-1 Answered", "p-2 Proceeding", "p-2 Answered"]
TRUNK_OUT = ["p-1 Setup", "p-2 Proceeding", "p-1 Proceeding", "p-2 Answered", "p-1 Answered"]
ENDED = ["p-2 Disconnected", "p-1 Disconnected"]


def trunk_calls(stage, watch, number="+15550100", name="agent1"):
    """A customer talks with an agent: (customer's call, agent's call, session)."""
    before = len(watch.sessions())
    agent, customer = stage.phone(name), stage.phone(number)
    theirs = customer.call(name)
    ours = agent.incoming()
    session = watch.wait_sessions(before + 1)[before]
    ours.answer().wait("confirmed")
    theirs.wait("confirmed")
    watch.wait_told(TRUNK_IN, session)
    return theirs, ours, session


def calls(stage, watch, caller, callee):
    """One extension talks with another: (caller's call, callee's call, session)."""
    before = len(watch.sessions())
    other = stage.phone(callee)
    theirs = stage.phone(caller).call(callee)
    ours = other.incoming()
    session = watch.wait_sessions(before + 1)[before]
    ours.answer().wait("confirmed")
    theirs.wait("confirmed")
    watch.wait_told(INTERNAL, session)
    return theirs, ours, session


def party(session, number):
    return f"p-{session[2:]}-{number}"


def path(session, number, order=""):
    return f"/sessions/{session}/parties/{party(session, number)}{'/' + order if order else ''}"


def last(client, session, number):
    """The last that was told of a party."""
    found = [body["parties"][0] for body in client.bodies() if body["parties"][0]["id"] == party(session, number)]
    return found[-1]


# --- events ----------------------------------------------------------------------------------------------------------


def test_events_of_a_call_from_a_trunk(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, phone, session = trunk_calls(stage, boss)
    customer.hears(697)
    phone.hears(1477)
    agent.session(session, "hold")
    boss.wait_told(TRUNK_IN + ["p-2 Hold"], session)
    customer.hears_not(697)
    assert agent.session(session, "unhold")["status"]["code"] == "Answered"
    customer.hears(697)
    customer.hang_up()
    boss.wait_told(TRUNK_IN + ["p-2 Hold", "p-2 Answered"] + ENDED, session)
    check_shapes(boss.bodies())
    ids = f"party-id={party(session, 2)};session-id={session}"
    assert phone.first.get("p-rc-api-ids") == ids, phone.first.headers
    own = [told for told in TRUNK_IN + ["p-2 Hold", "p-2 Answered"] + ENDED if told.startswith("p-2")]
    agent.wait_told(own, session)
    # The paths say whose event it is, and the trunk's party is nobody's.
    events = {short(notice["body"])[:3]: notice["event"] for notice in boss.notices}
    assert events == {"p-1": "/restapi/v1.0/account/400100/telephony/sessions",
                      "p-2": "/restapi/v1.0/account/400100/extension/1001/telephony/sessions"}, events
    first, second = last(boss, session, 1), last(boss, session, 2)
    assert "extensionId" not in first and first["direction"] == "Outbound" and first["from"]["phoneNumber"] == "+15550100"
    assert second["extensionId"] == "1001" and second["direction"] == "Inbound" and second["to"]["phoneNumber"] == "101"
    assert agent.ask("sessions") == [], "the SDK has dropped the session"


def test_events_between_extensions_and_to_a_trunk(stage):
    boss = stage.boss()
    caller, callee, session = calls(stage, boss, "agent1", "agent2")
    assert caller.accepted.get("p-rc-api-ids") == f"party-id={party(session, 1)};session-id={session}"
    caller.hang_up()
    callee.wait("ended")
    boss.wait_told(INTERNAL + ENDED, session)
    trunk = stage.phone("+15550100")
    caller = stage.phone("agent1").call("+15550100")
    callee = trunk.incoming()
    assert not callee.first.get("p-rc-api-ids"), "a trunk does not learn ids"
    session = boss.wait_sessions(2)[1]
    callee.answer()
    boss.wait_told(TRUNK_OUT, session)
    callee.hang_up()
    boss.wait_told(TRUNK_OUT + ENDED, session)
    check_shapes(boss.bodies())


# --- warm transfer ---------------------------------------------------------------------------------------------------


def test_bridge_is_a_warm_transfer(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, a = trunk_calls(stage, boss)
    held = agent.session(a, "hold")
    assert held["status"]["code"] == "Hold" and held["id"] == party(a, 2)
    consulting, consult, b = calls(stage, boss, "agent1", "agent2")
    consult.hears(697)
    customer.hears_not(697)
    answer = agent.session(a, "bridge", {"telephonySessionId": b, "partyId": party(b, 1)})
    number = {body["telephonySessionId"]: body["sessionId"] for body in boss.bodies()}
    peer = {"telephonySessionId": b, "sessionId": number[b], "partyId": party(b, 1)}
    assert (answer["status"]["code"], answer["status"]["reason"], answer["status"]["peerId"]) == ("Gone", "AttendedTransfer", peer)
    # Who hears whom is what it is for.
    customer.hears(941)
    consult.hears(1477)
    operator.wait("ended")
    consulting.wait("ended")
    boss.wait_told(TRUNK_IN + ["p-2 Hold", "p-2 Gone/AttendedTransfer"], a)
    boss.wait_told(INTERNAL + ["p-1 Gone/AttendedTransfer", "p-2 Answered/AttendedTransfer"], b)
    assert last(boss, a, 2)["status"]["peerId"] == peer
    back = {"telephonySessionId": a, "sessionId": number[a], "partyId": party(a, 2)}
    assert last(boss, b, 1)["status"]["peerId"] == back
    assert last(boss, b, 2)["from"]["phoneNumber"] == "+15550100"
    customer.hang_up()
    consult.wait("ended")
    boss.wait_told(TRUNK_IN + ["p-2 Hold", "p-2 Gone/AttendedTransfer", "p-1 Disconnected"], a)
    boss.wait_told(INTERNAL + ["p-1 Gone/AttendedTransfer", "p-2 Answered/AttendedTransfer", "p-2 Disconnected"], b)
    check_shapes(boss.bodies())


def test_bridge_in_a_wrong_state_changes_nothing(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, a = trunk_calls(stage, boss)
    unheard = stage.phone("agent2")
    stage.phone("agent1").call("agent2")
    ringing = unheard.incoming()
    b = boss.wait_sessions(2)[1]
    where = path(a, 2, "bridge")
    there = {"telephonySessionId": b, "partyId": party(b, 2)}
    assert agent.refused("POST", where, there) == (409, "TAS-102"), "the consult rings"
    assert agent.refused("POST", where, {"telephonySessionId": a, "partyId": party(a, 1)}) == (409, "TAS-102")
    assert agent.refused("POST", where, {"telephonySessionId": b}) == (400, "CMN-101")
    assert agent.refused("POST", where, {"telephonySessionId": "s-0z0z0", "partyId": "p-0z0z0-1"}) == (404, "CMN-102")
    assert agent.refused("POST", path(a, 2, "unhold")) == (409, "TAS-102"), "nobody is held"
    assert agent.refused("POST", path(a, 7, "hold")) == (404, "CMN-102")
    assert agent.refused("POST", path(b, 2, "transfer"), {"phoneNumber": "+15550101"}) == (409, "TAS-102")
    assert agent.refused("POST", path(a, 2, "transfer"), {"phoneNumber": "+1", "extensionNumber": "102"}) == (400, "CMN-101")
    assert agent.refused("POST", path(a, 2, "reject")) == (409, "TAS-102"), "it does not ring"
    ringing.hang_up()
    other = stage.client("agent2", filters=())
    assert other.refused("GET", f"/sessions/{a}") == (403, "CMN-401"), "somebody else's call"
    assert other.refused("POST", path(a, 2, "hold")) == (403, "CMN-401")
    customer.hears(697)
    operator.hears(1477)
    boss.wait_told(TRUNK_IN, a)


# --- transfer, call-out, reject --------------------------------------------------------------------------------------


def test_blind_transfer(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, session = trunk_calls(stage, boss)
    target = stage.phone("agent2")
    answer = agent.session(session, "transfer", {"extensionNumber": "102"})
    assert (answer["status"]["code"], answer["status"]["reason"]) == ("Disconnected", "BlindTransfer")
    ringing = target.incoming()
    boss.wait_told(TRUNK_IN + ["p-2 Disconnected/BlindTransfer", "p-3 Setup", "p-3 Proceeding"], session)
    ringing.answer()
    customer.hears(941)
    ringing.hears(1477)
    operator.wait("ended")
    told = TRUNK_IN + ["p-2 Disconnected/BlindTransfer", "p-3 Setup", "p-3 Proceeding", "p-3 Answered"]
    boss.wait_told(told, session)
    ringing.hang_up()
    boss.wait_told(told + ["p-3 Disconnected", "p-1 Disconnected"], session)
    check_shapes(boss.bodies())


def test_blind_transfer_to_a_busy_target_comes_back(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, session = trunk_calls(stage, boss)
    target = stage.phone("agent2")
    agent.session(session, "transfer", {"extensionId": "1002"})
    target.incoming(ring=False).reject(486)
    told = TRUNK_IN + ["p-2 Disconnected/BlindTransfer", "p-3 Setup", "p-4 Answered", "p-3 Disconnected/TargetBusy"]
    boss.wait_told(told, session)
    customer.hears(697)
    held = agent.send("POST", path(session, 4, "hold"))[1]
    assert held["id"] == party(session, 4) and held["status"]["code"] == "Hold"
    operator.hang_up()
    boss.wait_told(told + ["p-4 Hold", "p-4 Disconnected", "p-1 Disconnected"], session)


def test_call_out_by_the_sdk(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    caller, trunk = stage.phone("agent1"), stage.phone("+15550100")
    [device] = agent.account["devices"]
    agent.account = agent.ask("control")
    assert agent.account["devices"][0]["status"] == "Online", agent.account
    made = agent.ask("make", method="createCall", args=[device["id"], {"phoneNumber": "+15550100"}])
    ours = caller.incoming()
    session = made["id"]
    boss.wait_told(["p-1 Setup"], session)
    ours.answer()
    theirs = trunk.incoming()
    boss.wait_told(TRUNK_OUT[:3], session)
    theirs.answer()
    boss.wait_told(TRUNK_OUT, session)
    ours.hears(1477)
    theirs.hears(697)
    assert {body["origin"]["type"] for body in boss.bodies()} == {"CallOut"}
    agent.session(session, "drop")
    ours.wait("ended")
    theirs.wait("ended")
    boss.wait_told(TRUNK_OUT + ENDED, session)
    assert agent.refused("POST", "/call-out", {"from": {"deviceId": "999"}, "to": {"phoneNumber": "+15550100"}}) == (404, "CMN-102")
    assert agent.refused("POST", "/call-out", {"from": {"deviceId": device["id"]}, "to": {}}) == (400, "CMN-101")
    assert agent.refused("POST", "/call-out", {"to": {"phoneNumber": "+15550100"}}) == (400, "CMN-101")
    assert agent.refused("GET", f"/sessions/{session}") == (404, "CMN-102")


def test_reject_reply_and_a_missed_call(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    phone, trunk = stage.phone("agent1"), stage.phone("+15550100")
    for order, body, reason in [("reject", None, "Rejected"), ("reply", {"replyWithText": "later"}, "CallReplied")]:
        before = len(boss.sessions())
        call = trunk.call("agent1")
        ringing = phone.incoming()
        session = boss.wait_sessions(before + 1)[before]
        boss.wait_told(TRUNK_IN[:3], session)
        agent.send("POST", path(session, 2, order), body)
        call.wait("ended")
        ringing.wait("ended")
        boss.wait_told(TRUNK_IN[:3] + [f"p-2 Disconnected/{reason}", "p-1 Disconnected/NoAnswer"], session)
        assert last(boss, session, 2)["missedCall"] is False
    call = trunk.call("agent1")
    phone.incoming()
    session = boss.wait_sessions(3)[2]
    boss.wait_told(TRUNK_IN[:3], session)
    call.hang_up()
    boss.wait_told(TRUNK_IN[:3] + ["p-2 Disconnected/Cancelled", "p-1 Disconnected/Cancelled"], session)
    assert last(boss, session, 2)["missedCall"] is True


def test_forward_and_pick_up_while_it_rings(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    phone, other, trunk = stage.phone("agent1"), stage.phone("agent2"), stage.phone("+15550100")
    call = trunk.call("agent1")
    ringing = phone.incoming()
    session = boss.wait_sessions(1)[0]
    boss.wait_told(TRUNK_IN[:3], session)
    answer = agent.session(session, "forward", {"extensionNumber": "102"})
    assert answer["status"] == {"code": "Disconnected", "reason": "CallRedirected", "rcc": False}
    ringing.wait("ended")
    taken = other.incoming()
    taken.answer()
    call.hears(941)
    told = TRUNK_IN[:3] + ["p-2 Disconnected/CallRedirected", "p-3 Setup", "p-3 Proceeding", "p-1 Answered", "p-3 Answered"]
    boss.wait_told(told, session)
    call.hang_up()
    taken.wait("ended")
    boss.wait_told(told + ["p-3 Disconnected", "p-1 Disconnected"], session)
    # The boss takes a call that rings at an agent's.
    phone_of_boss = stage.phone("boss")
    call = trunk.call("agent1")
    ringing = phone.incoming()
    session = boss.wait_sessions(2)[1]
    boss.wait_told(TRUNK_IN[:3], session)
    status, picked = boss.send("POST", path(session, 2, "pickup"), {"deviceId": "801003"})
    assert (status, picked["id"]) == (201, party(session, 3))
    mine = phone_of_boss.incoming()
    assert mine.first.get("p-rc-api-ids") == f"party-id={party(session, 3)};session-id={session}"
    assert "answer-after=0" in mine.invite.get("call-info") and mine.invite.get("answer-mode") == "Auto"
    ringing.wait("ended")
    mine.answer()
    call.hears(1209)
    boss.wait_told(TRUNK_IN[:3] + ["p-3 Setup", "p-2 Gone/Pickup", "p-3 Proceeding", "p-1 Answered", "p-3 Answered"], session)
    peer = last(boss, session, 2)["status"]["peerId"]
    assert (peer["telephonySessionId"], peer["partyId"]) == (session, party(session, 3)) and peer["sessionId"].isdigit()


# --- hubs ------------------------------------------------------------------------------------------------------------


def test_conference_with_a_guest(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, a = trunk_calls(stage, boss)
    made = agent.ask("make", method="createConference")
    conference = made["id"]
    assert made["voiceCallToken"].startswith("conf_") and made["origin"] == {"type": "Conference"}
    body = {"sessionId": a, "partyId": party(a, 2)}
    assert agent.refused("POST", f"/sessions/{conference}/parties/bring-in", body) == (403, "TAS-106"), "the host is not there"
    stranger = stage.phone("agent2").call(made["voiceCallToken"])
    stranger.wait("ended")
    assert stranger.status == 403
    host = stage.phone("agent1").call(made["voiceCallToken"]).wait("confirmed")
    boss.wait_told(["p-1 Setup", "p-1 Answered"], conference)
    first = last(boss, conference, 1)
    assert first["conferenceRole"] == "Host" and first["direction"] == "Outbound"
    assert first["to"] == {"phoneNumber": "conference", "name": "Conference"}
    assert {told["sessionId"] for told in boss.bodies() if told["telephonySessionId"] == conference} == {"0"}
    agent.session(a, "hold")
    guest = agent.session(conference, "bringInParty", body)
    assert guest["id"] == party(conference, 2) and guest["conferenceRole"] == "Participant" and guest["direction"] == "Inbound"
    customer.hears(697)
    host.hears(1477)
    operator.wait("ended")
    boss.wait_told(["p-1 Setup", "p-1 Answered", "p-2 Setup", "p-2 Answered"], conference)
    boss.wait_told(TRUNK_IN + ["p-2 Hold", "p-2 Gone/Conference"], a)
    peer = {"telephonySessionId": conference, "sessionId": "0", "partyId": party(conference, 2)}
    assert last(boss, a, 2)["status"]["peerId"] == peer
    # A third one, by another call of the host.
    consulting, consult, b = calls(stage, boss, "agent1", "agent2")
    agent.send("POST", f"/sessions/{conference}/parties/bring-in", {"telephonySessionId": b, "partyId": party(b, 1)})
    for listener, tones in [(customer, (697, 941)), (consult, (697, 1477)), (host, (941, 1477))]:
        for tone in tones:
            listener.hears(tone)
    consult.hears_not(941)
    consult.hang_up()
    boss.wait_told(INTERNAL + ["p-1 Gone/Conference", "p-2 Disconnected"], b)
    host.hang_up()
    customer.wait("ended")
    boss.wait_told(TRUNK_IN + ["p-2 Hold", "p-2 Gone/Conference", "p-1 Disconnected"], a)
    told = boss.told(conference)
    assert told[:6] == ["p-1 Setup", "p-1 Answered", "p-2 Setup", "p-2 Answered", "p-3 Setup", "p-3 Answered"], told
    assert sorted(told[6:]) == ["p-1 Disconnected", "p-2 Disconnected", "p-3 Disconnected"], told
    check_shapes(boss.bodies())


def test_supervisor_hears_and_is_not_heard(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, a = trunk_calls(stage, boss)
    device = {"mode": "Listen", "supervisorDeviceId": "801003", "agentExtensionNumber": "101"}
    listening = stage.phone("boss")
    assert agent.refused("POST", f"/sessions/{a}/supervise", device) == (403, "CMN-401"), "no admin"
    assert boss.refused("POST", f"/sessions/{a}/supervise", {**device, "mode": "Whisper"}) == (400, "CMN-101")
    assert boss.refused("POST", f"/sessions/{a}/supervise", {**device, "agentExtensionNumber": "102"}) == (404, "CMN-102")
    status, answer = boss.send("POST", f"/sessions/{a}/supervise", device)
    assert (status, answer["id"], answer["extensionId"]) == (201, party(a, 3), "1003")
    call = listening.incoming()
    assert "answer-after=0" in call.invite.get("call-info")
    assert call.first.get("p-rc-api-ids") == f"party-id={party(a, 3)};session-id={a}"
    call.answer()
    boss.wait_told(TRUNK_IN + ["p-3 Setup", "p-3 Proceeding", "p-3 Answered", "p-3 Gone/Supervising"], a)
    peer = last(boss, a, 3)["status"]["peerId"]
    assert (peer["telephonySessionId"], peer["partyId"]) == (a, party(a, 2)) and peer["sessionId"].isdigit()
    call.hears(697)
    call.hears(1477)
    customer.hears(697)
    operator.hears(1477)
    customer.hears_not(1209)
    operator.hears_not(1209)
    customer.hang_up()
    operator.wait("ended")
    call.wait("ended")
    told = boss.told(a)
    assert sorted(told[-2:]) == ["p-1 Disconnected", "p-2 Disconnected"], told


def test_mute_and_park(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, a = trunk_calls(stage, boss)
    muted = agent.session(a, "mute")
    assert muted["muted"] is True
    customer.hears_not(697)
    operator.hears(1477)
    assert agent.send("PATCH", path(a, 2), {"party": {"muted": False}})[1]["muted"] is False
    customer.hears(697)
    customer.hang_up()
    operator.wait("ended")
    customer, operator, b = trunk_calls(stage, boss)
    parked = agent.session(b, "park")
    assert (parked["status"]["code"], parked["park"]) == ("Parked", {"id": "801"}), parked
    operator.wait("ended")
    customer.hears_not(697)
    other = stage.client("agent2")
    phone = stage.phone("agent2")
    status, picked = other.send("POST", path(b, 2, "pickup"), {"deviceId": "801002"})
    assert (status, picked["id"]) == (201, party(b, 3))
    taken = phone.incoming().answer()
    customer.hears(941)
    taken.hears(1477)
    told = TRUNK_IN + ["p-2 Parked/CallPark", "p-3 Setup", "p-3 Proceeding", "p-3 Answered", "p-2 Gone/Pickup"]
    boss.wait_told(told, b)
    customer.hang_up()
    taken.wait("ended")
    check_shapes(boss.bodies())


def test_recording_and_flip(stage):
    boss, agent = stage.boss(), stage.client("agent1")
    customer, operator, a = trunk_calls(stage, boss)
    made = agent.session(a, "createRecord")
    assert (made["active"], made["mode"], made["view"]) == (True, "OnDemand", "Party")
    wait_until(lambda: last(boss, a, 2).get("recordings") == [{"id": made["id"], "active": True}], 5, "it is told of")
    assert agent.session(a, "pauseRecord", made["id"])["active"] is False
    assert agent.refused("PATCH", path(a, 2, f"recordings/{made['id']}"), {"active": True}) == (409, "TAS-102")
    assert agent.refused("PATCH", path(a, 2, "recordings/none"), {"active": True}) == (404, "CMN-102")
    wait_until(lambda: any((stage.folder / "recordings").iterdir()), 5, "the file")
    phone = stage.phone("agent2")
    assert agent.refused("POST", path(a, 2, "flip"), {"callFlipId": "9"}) == (404, "CMN-102")
    flipped = agent.session(a, "flip", {"callFlipId": "1"})
    assert flipped["status"]["reason"] == "CallFlip"
    phone.incoming().answer()
    customer.hears(941)
    operator.wait("ended")


# --- webhooks --------------------------------------------------------------------------------------------------------


def test_webhook_with_its_handshake(stage):
    boss = stage.boss()
    hook = stage.hook()
    filters = ["/restapi/v1.0/account/~/telephony/sessions?statusCode=Answered&sipData=true"]

    def subscribe(url, **more):
        mode = {"transportType": "WebHook", "address": url, **more}
        return boss.ask("send", method="POST", url="/restapi/v1.0/subscription", body={"eventFilters": filters, "deliveryMode": mode})

    made = subscribe(hook.url, verificationToken="word-of-the-client")["body"]
    assert made["status"] == "Active" and made["deliveryMode"]["address"] == hook.url, made
    assert hook.requests[0][0]["validation-token"] and hook.requests[0][1] == b""
    customer, operator, session = trunk_calls(stage, boss)
    customer.hang_up()
    wait_until(lambda: len(hook.notices()) >= 2, 10, hook.notices)
    assert [short(notice["body"]) for notice in hook.notices()] == ["p-1 Answered", "p-2 Answered"]
    for notice in hook.notices():
        assert notice["subscriptionId"] == made["id"] and notice["ownerId"] == "1003" and notice["uuid"]
    # By the tags of its own dialog a phone's client knows which of its calls is meant.
    for notice, call in zip(hook.notices(), (customer, operator)):
        tags = (call.local_tag, call.remote_tag) if call is customer else (call.remote_tag, call.local_tag)
        told = notice["body"]["parties"][0]["sipData"]
        assert told == {"callId": call.call_id, "fromTag": tags[0], "toTag": tags[1]}, (told, call.call_id, tags)
    assert hook.requests[1][0]["verification-token"] == "word-of-the-client"
    # It is renewed, listed and ended.
    url = f"/restapi/v1.0/subscription/{made['id']}"
    assert boss.ask("send", method="PUT", url=url, body={"expiresIn": 120})["body"]["expiresIn"] in (119, 120)
    assert boss.ask("send", method="POST", url=f"{url}/renew")["body"]["expiresIn"] > 1000
    listed = boss.ask("send", method="GET", url="/restapi/v1.0/subscription")["body"]["records"]
    assert made["id"] in [record["id"] for record in listed]
    assert boss.ask("send", method="DELETE", url=url)["status"] == 204
    came = len(hook.requests)
    trunk_calls(stage, boss)[0].hang_up()
    assert len(hook.requests) == came, "it was told after its end"
    # Whoever does not prove that it wants to be told is not.
    for bad in (stage.hook(echo=False), stage.hook(status=500), stage.hook(delay=4.0)):
        try:
            subscribe(bad.url)
            raise AssertionError("a webhook without a handshake was taken")
        except Refused as refused:
            assert (refused.status, refused.code) == (400, "SUB-525"), refused
    for url in ("http://192.0.2.1.nowhere.invalid/x", "http://10.0.0.1/x", "ftp://127.0.0.1/", "nonsense"):
        try:
            subscribe(url)
            raise AssertionError(f"{url} was taken")
        except Refused as refused:
            assert refused.status == 400, refused


def test_a_webhook_that_is_down_does_not_hold_anything_up(stage):
    boss = stage.boss()
    hook = stage.hook()
    mode = {"transportType": "WebHook", "address": hook.url}
    filters = ["/restapi/v1.0/account/~/telephony/sessions"]
    boss.ask("send", method="POST", url="/restapi/v1.0/subscription", body={"eventFilters": filters, "deliveryMode": mode})
    hook.delay = 30
    customer, operator, session = trunk_calls(stage, boss)
    customer.hears(697)
    customer.hang_up()
    operator.wait("ended")
    boss.wait_told(TRUNK_IN + ENDED, session)


# --- logins ----------------------------------------------------------------------------------------------------------


def test_python_sdk_logs_in_and_hears_events(stage):
    sdk = SDK(CLIENT["clientId"], CLIENT["clientSecret"], stage.server)
    platform = sdk.platform()
    platform.login(jwt=jwt("boss"))
    me = platform.get("/restapi/v1.0/account/~/extension/~").json_dict()
    assert (me["id"], me["extensionNumber"]) == (1003, "103"), me
    platform.refresh()
    platform.login(username="101", extension="", password="password-of-agent1")
    assert platform.get("/account/~/extension/~").json_dict()["id"] == 1001
    platform.login(username="+15559", extension="103", password="password-of-boss")
    heard, ready = [], threading.Event()

    def listen():
        async def work():
            client = sdk.create_web_socket_client()
            client.on(WebSocketEvents.receiveSubscriptionNotification, lambda message: heard.append(message[1]))
            client.on(WebSocketEvents.subscriptionCreated, lambda _: ready.set())
            filters = ["/restapi/v1.0/account/~/telephony/sessions"]
            await asyncio.gather(client.create_new_connection(), client.create_subscription(filters))
        try:
            asyncio.run(work())
        except Exception:  # the connection ends with the test
            pass

    threading.Thread(target=listen, daemon=True).start()
    assert ready.wait(10), "the Python SDK was not told that it is subscribed"
    called = stage.phone("agent1")
    caller = stage.phone("+15550100").call("agent1")
    called.incoming().answer()
    caller.wait("confirmed").hang_up()
    wait_until(lambda: len(heard) >= 7, 10, lambda: [short(notice["body"]) for notice in heard])
    assert [short(notice["body"]) for notice in heard] == TRUNK_IN + ENDED
    platform.logout()
    platform.auth().set_data({"access_token": "gone", "token_type": "bearer", "expires_in": 100})
    try:
        platform.get("/restapi/v1.0/account/~/extension/~")
        raise AssertionError("a revoked token was good")
    except ApiException as error:
        assert error.api_response().response().status_code == 401
