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
    caller.hang_up()
    callee.wait("ended")
    boss.wait_told(INTERNAL + ENDED, session)
    trunk = stage.phone("+15550100")
    caller = stage.phone("agent1").call("+15550100")
    callee = trunk.incoming()
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
