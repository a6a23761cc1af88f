"""What an application written for that API does with an edge: the SDK orders, the phones talk, their ears judge."""

import math
import struct
import time
import wave

from twilio.base.exceptions import TwilioRestException

from phone import Phone, wait_until
from rig.edge import Edge
from sdk import client
from tutorial import Application

ACCOUNT, TOKEN = "AC" + "1" * 32, "0123456789abcdef0123456789abcdef"
KEY, SECRET = "SK" + "2" * 32, "fedcba9876543210"
NUMBER = "+15550001"
CUSTOMER, AGENT1, AGENT2, BOSS, MUSIC, WAIT = 440, 697, 852, 1209, 330, 1477

CONFIG = """
[edge]
domain = "example.test"
[[listen]]
transport = "udp"
address = "{host}:5060"
{registrar}
[timers]
t1_ms = 100
t2_ms = 400
t4_ms = 500
[media]
mode = "auto"
ports = [34000, 34999]
hold_music = "{folder}/hold.wav"
recordings = "{folder}/recordings"
[webhook]
allow = ["127.0.0.0/8"]
[[application]]
name = "sales"
match = '^\\+15550'
[twilio]
account_sid = "{account}"
auth_token = "{token}"
[[twilio.key]]
sid = "{key}"
secret = "{secret}"
[[twilio.number]]
application = "sales"
phone_number = "{number}"
voice_url = "{app}/conference/connect/client"
status_callback = "{app}/status"
[[twilio.number]]
application = "sales"
phone_number = "+15550002"
voice_url = "{app}/voice"
fallback_url = "{app}/fallback"
status_callback = "{app}/status"
"""


def tone_file(path, hertz, seconds=1):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        samples = (int(8000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(8000 * seconds))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


class Stage:
    """An edge, an application, and phones that are closed in the end."""

    def __init__(self, host, folder, registrar="[registrar]\nopen = true"):
        self.host, self.folder, self.phones = host, folder, []
        folder.mkdir(parents=True)
        (folder / "recordings").mkdir()
        tone_file(folder / "hold.wav", MUSIC)
        self.app = Application(host, None, TOKEN, NUMBER)
        tone_file(folder / "wait.wav", WAIT, 2)
        tone_file(folder / "long.wav", WAIT, 8)
        self.app.documents["/long.wav"] = ("audio/wav", (folder / "long.wav").read_bytes())
        self.app.documents["/music.wav"] = ("audio/wav", (folder / "wait.wav").read_bytes())
        self.app.documents["/status"] = lambda _: ""
        config = CONFIG.format(registrar=registrar.format(host=host), host=host, folder=folder, account=ACCOUNT, token=TOKEN, key=KEY, secret=SECRET, number=NUMBER, app=self.app.base)
        self.edge = Edge(host, config, folder)
        self.sdk = self.app.sdk = client(self.edge._api, ACCOUNT, TOKEN)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for phone in self.phones:
            phone.close()
        self.edge.stop()
        self.app.close()

    def phone(self, name, tone, register=True, port=0):
        phone = Phone(name, edge=(self.host, 5060), tone=tone, host=self.host, port=port)
        self.phones.append(phone)
        return phone.register() if register else phone

    def serve(self, path, document):
        self.app.documents[path] = document

    def seen(self, path):
        return [form for own, form, _ in self.app.seen if own == path]

    def told(self, path, **wanted):
        """Waits until the application was told of that."""
        found = []

        def there():
            found[:] = [form for form in self.seen(path) if all(form.get(key) == value for key, value in wanted.items())]
            return found
        wait_until(there, 10, lambda: f"{path} with {wanted}; it was told {self.seen(path)}")
        return found[0]


def nothing_left(stage):
    """No call and no dialog; transactions of refused INVITEs are kept for 32 seconds (RFC 3261 §17.1.1.2)."""
    def left():
        return {name: value for name, value in stage.edge.gauges().items() if value and name != "warmline_transactions"}
    wait_until(lambda: not left(), 10, lambda: f"left behind: {left()}; {stage.edge.calls()}")


def refused(code, status, order):
    try:
        order()
    except TwilioRestException as error:
        assert (error.code, error.status) == (code, status), f"{error.code} {error.status}: {error.msg}"
        return error
    raise AssertionError(f"it should have been refused with {code}")


def the_tutorial_warm_transfer(stage):
    agent1, agent2 = stage.phone("agent1", AGENT1), stage.phone("agent2", AGENT2)
    customer = stage.phone("+15550100", CUSTOMER, register=False).call(NUMBER)
    first = agent1.incoming()
    customer.wait("confirmed")
    first.answer().wait("confirmed")
    customer.hears(AGENT1)
    first.hears(CUSTOMER)
    # The agent consults a second one, who comes into the same conference.
    import urllib.request
    urllib.request.urlopen(urllib.request.Request(f"{stage.app.base}/conference/agent1/call", method="POST", data=b""))
    second = agent2.incoming()
    second.answer().wait("confirmed")
    for call, others in ((customer, (AGENT1, AGENT2)), (first, (CUSTOMER, AGENT2)), (second, (CUSTOMER, AGENT1))):
        for tone in others:
            call.hears(tone)
    # Agent1 leaves: the others talk on. Agent2 leaves: everybody is dropped.
    first.hang_up()
    customer.hears(AGENT2).hears_not(AGENT1)
    second.hears(CUSTOMER)
    second.hang_up()
    customer.wait("ended")
    told = stage.told("/status", CallStatus="completed")
    assert told["CallSid"] == stage.seen("/conference/connect/client")[0]["CallSid"]
    assert all(signed for path, _, signed in stage.app.seen if path != "/conference/agent1/call"), stage.app.seen
    nothing_left(stage)


def joined(stage, name):
    """The participants of a live conference, by label or call."""
    found = stage.sdk.conferences.list(friendly_name=name, status="in-progress") or stage.sdk.conferences.list(friendly_name=name, status="init")
    return found[0] if found else None


def three_in_a_room(stage):
    """Customer, agent and supervisor, each called into the conference by the API; their calls, and their participants."""
    people = {"customer": CUSTOMER, "agent": AGENT1, "boss": BOSS}
    calls, places = {}, {}
    for name, tone in people.items():
        phone = stage.phone(name, tone)
        places[name] = stage.sdk.conferences("room").participants.create(
            from_=NUMBER, to=f"client:{name}", label=name, beep="false", conference_status_callback=f"{stage.app.base}/conference-events",
            conference_status_callback_event=["start", "end", "join", "leave", "mute", "hold", "modify"], end_conference_on_exit=name == "customer")
        assert places[name].status == "queued"
        calls[name] = phone.incoming().answer().wait("confirmed")
    wait_until(lambda: all(one.status == "connected" for one in stage.sdk.conferences("room").participants.list()), 10, "all connected")
    return calls, places, stage.sdk.conferences(places["agent"].conference_sid)


def hears_exactly(call, *tones):
    for tone in tones:
        call.hears(tone)
    for tone in {CUSTOMER, AGENT1, BOSS, MUSIC} - set(tones):
        call.hears_not(tone)


def every_role_is_heard_as_it_should_be(stage):
    stage.app.documents["/conference-events"] = lambda _: ""
    calls, places, room = three_in_a_room(stage)
    customer, agent, boss = calls["customer"], calls["agent"], calls["boss"]
    # barge: everybody hears everybody
    hears_exactly(customer, AGENT1, BOSS)
    hears_exactly(agent, CUSTOMER, BOSS)
    hears_exactly(boss, CUSTOMER, AGENT1)
    # monitor: the supervisor hears both, and nobody hears it
    boss_place = room.participants("boss")
    assert boss_place.update(muted=True).muted is True
    hears_exactly(customer, AGENT1)
    hears_exactly(agent, CUSTOMER)
    hears_exactly(boss, CUSTOMER, AGENT1)
    # whisper: the agent alone hears the supervisor
    place = boss_place.update(muted=False, coaching=True, call_sid_to_coach=places["agent"].call_sid)
    assert (place.coaching, place.call_sid_to_coach) == (True, places["agent"].call_sid)
    hears_exactly(agent, CUSTOMER, BOSS)
    hears_exactly(customer, AGENT1)
    # hold: the customer hears music, and is heard by nobody
    assert room.participants("customer").update(hold=True).hold is True
    hears_exactly(customer, MUSIC)
    hears_exactly(agent, BOSS)
    # a hold music of its own, and one that cannot be had, which is silence
    stage.serve("/hold", "<Response><Play loop='0'>/music.wav</Play></Response>")
    room.participants("customer").update(hold=True, hold_url=f"{stage.app.base}/hold")
    customer.hears(WAIT).hears_not(MUSIC)
    room.participants("customer").update(hold=True, hold_url=f"{stage.app.base}/nothing-there")
    customer.hears_not(WAIT).hears_not(MUSIC)
    room.participants("customer").update(hold=False)
    hears_exactly(customer, AGENT1)
    # an announcement to one
    stage.serve("/announce", "<Response><Play>/music.wav</Play></Response>")
    stage.serve("/long", "<Response><Play>/long.wav</Play></Response>")
    room.participants("customer").update(announce_url=f"{stage.app.base}/announce")
    customer.hears(WAIT)
    customer.hears(AGENT1)
    # and to all
    room.update(announce_url=f"{stage.app.base}/long")
    for call in (customer, agent):  # below the voices, of which the agent hears two
        wait_until(lambda: call.share(WAIT) > 0.03, 8, "the announcement is heard")
    assert [one.label for one in room.participants.list(muted=True)] == []
    assert [one.label for one in room.participants.list(coaching=True)] == ["boss"]
    # kicked out, the supervisor is gone; with the customer the conference ends
    room.participants("boss").delete()
    boss.wait("ended")
    customer.hang_up()
    agent.wait("ended")
    ended = stage.told("/conference-events", StatusCallbackEvent="conference-end")
    assert ended["ReasonConferenceEnded"] == "participant-with-end-conference-on-exit-left", ended
    assert ended["CallSidEndingConference"] == places["customer"].call_sid
    told = stage.seen("/conference-events")
    assert [int(form["SequenceNumber"]) for form in told] == list(range(1, len(told) + 1))
    names = [form["StatusCallbackEvent"] for form in told]
    for name in ("participant-join", "conference-start", "participant-mute", "participant-unmute", "participant-hold", "participant-unhold", "participant-modify"):
        assert name in names, (name, names)
    assert [form["ReasonParticipantLeft"] for form in told if form["StatusCallbackEvent"] == "participant-leave"] == [
        "participant_updated_via_api", "participant_hung_up", "moderator_ended_conference"]
    assert all(signed for path, _, signed in stage.app.seen if path == "/conference-events")
    conference = room.fetch()
    assert (conference.status, conference.reason_conference_ended) == ("completed", "participant-with-end-conference-on-exit-left")
    nothing_left(stage)


def wrong_states_are_refused_and_change_nothing(stage):
    stage.app.documents["/conference-events"] = lambda _: ""
    calls, places, room = three_in_a_room(stage)
    refused(20404, 404, lambda: stage.sdk.conferences("CF" + "0" * 32).fetch())
    refused(20404, 404, lambda: stage.sdk.calls("CA" + "0" * 32).fetch())
    refused(20404, 404, lambda: room.participants("nobody").fetch())
    refused(16025, 400, lambda: stage.sdk.conferences("room").participants.create(from_=NUMBER, to="client:boss", label="agent"))
    refused(13240, 400, lambda: room.participants("boss").update(coaching=True, call_sid_to_coach="CA" + "0" * 32))
    refused(13240, 400, lambda: room.participants("boss").update(coaching=True))
    refused(21211, 400, lambda: stage.sdk.calls.create(to="not an address", from_=NUMBER, twiml="<Response/>"))
    refused(21205, 400, lambda: stage.sdk.calls.create(to="client:agent", from_=NUMBER, url="ftp://x"))
    refused(21205, 400, lambda: stage.sdk.calls.create(to="client:agent", from_=NUMBER))
    refused(12100, 400, lambda: stage.sdk.calls.create(to="client:agent", from_=NUMBER, twiml="<Response><Say>"))
    refused(21220, 400, lambda: stage.sdk.calls(places["agent"].call_sid).update(status="canceled"))
    refused(20001, 400, lambda: stage.sdk.calls.create(to="client:agent", from_=NUMBER, twiml="<Response/>", timeout=700))
    from sdk import client as sdk_client
    refused(20003, 401, lambda: sdk_client(stage.edge._api, ACCOUNT, "wrong").calls(places["agent"].call_sid).fetch())
    keyed = sdk_client(stage.edge._api, ACCOUNT, SECRET, user=KEY)
    assert keyed.calls(places["agent"].call_sid).fetch().status == "in-progress"
    hears_exactly(calls["customer"], AGENT1, BOSS)
    assert [one.label for one in room.participants.list()] == ["customer", "agent", "boss"]
    assert not any(one.coaching or one.muted or one.hold for one in room.participants.list())
    stage.sdk.calls(places["agent"].call_sid).update(status="completed")
    calls["agent"].wait("ended")
    ended = stage.sdk.calls(places["agent"].call_sid)
    wait_until(lambda: ended.fetch().status == "completed", 5, "completed")
    assert "not in-progress" in refused(21220, 400, lambda: ended.update(twiml="<Response/>")).msg
    refused(20404, 404, lambda: room.participants("agent").update(muted=True))
    # paging: three calls, one a page
    pages = list(stage.sdk.calls.stream(page_size=1))
    assert len(pages) == 3 and len({call.sid for call in pages}) == 3
    assert [call.sid for call in stage.sdk.calls.list(status="completed")] == [places["agent"].call_sid]
    ended.delete()
    refused(20404, 404, lambda: ended.fetch())


def a_call_is_redirected_by_the_api(stage):
    agent = stage.phone("agent1", AGENT1)
    stage.app.documents["/calls"] = lambda _: ""
    call = stage.sdk.calls.create(to="client:agent1", from_=NUMBER, twiml="<Response><Play loop='0'>%s/music.wav</Play></Response>" % stage.app.base,
                                  status_callback=f"{stage.app.base}/calls", status_callback_event=["initiated", "ringing", "answered", "completed"])
    assert (call.status, call.direction) == ("queued", "outbound-api")
    phone = agent.incoming().answer().wait("confirmed")
    phone.hears(WAIT)
    stage.sdk.calls(call.sid).update(twiml="<Response><Dial><Conference waitUrl=''>quiet</Conference></Dial></Response>")
    phone.hears_not(WAIT)
    wait_until(lambda: joined(stage, "quiet"), 5, "the conference")
    stage.serve("/goodbye", "<Response><Play>/music.wav</Play><Hangup/></Response>")
    stage.sdk.calls(call.sid).update(url=f"{stage.app.base}/goodbye")
    phone.hears(WAIT).wait("ended")
    stage.told("/calls", CallStatus="completed")
    told = stage.seen("/calls")
    assert [form["CallStatus"] for form in told] == ["queued", "ringing", "in-progress", "completed"], told
    assert [form["SequenceNumber"] for form in told] == ["0", "1", "2", "3"]
    assert all(signed for path, _, signed in stage.app.seen if path == "/calls")


def calls_that_nobody_takes_say_why(stage):
    agent = stage.phone("agent1", AGENT1)
    for status, word in ((486, "busy"), (480, "no-answer"), (500, "failed")):
        call = stage.sdk.calls.create(to="client:agent1", from_=NUMBER, twiml="<Response/>")
        agent.incoming().reject(status, "No")
        wait_until(lambda: stage.sdk.calls(call.sid).fetch().status == word, 5, lambda: stage.sdk.calls(call.sid).fetch().status)
    call = stage.sdk.calls.create(to="client:agent1", from_=NUMBER, twiml="<Response/>")
    ringing = agent.incoming()
    stage.sdk.calls(call.sid).update(status="canceled")
    ringing.wait("ended")
    wait_until(lambda: stage.sdk.calls(call.sid).fetch().status == "canceled", 5, lambda: stage.sdk.calls(call.sid).fetch().status)
    gone = stage.sdk.calls.create(to="client:nobody", from_=NUMBER, twiml="<Response/>")
    wait_until(lambda: stage.sdk.calls(gone.sid).fetch().status in ("failed", "no-answer"), 5, lambda: stage.sdk.calls(gone.sid).fetch().status)
    nothing_left(stage)


def a_pre_call_whisper_is_heard_by_the_agent_alone(stage):
    agent = stage.phone("agent1", AGENT1)
    stage.serve("/voice", "<Response><Dial action='/after' callerId='+15550100'><Client url='/whisper' statusCallback='/leg'>agent1</Client></Dial></Response>")
    stage.serve("/whisper", "<Response><Play>/music.wav</Play></Response>")
    stage.serve("/after", "<Response><Play loop='0'>/music.wav</Play></Response>")
    stage.serve("/leg", lambda _: "")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    callee = agent.incoming().answer().wait("confirmed")
    callee.hears(WAIT)
    assert customer.share(WAIT) < 0.02 and customer.share(AGENT1) < 0.02
    callee.hears(CUSTOMER).hears_not(WAIT)
    customer.hears(AGENT1)
    callee.hang_up()
    customer.hears(WAIT)
    told = stage.told("/after", DialCallStatus="completed")
    assert told["DialBridged"] == "true" and told["DialCallSid"].startswith("CA")
    assert stage.told("/leg", CallStatus="completed")["ParentCallSid"] == told["CallSid"]
    customer.hang_up()
    nothing_left(stage)


def keys_are_gathered_and_redirects_followed(stage):
    stage.serve("/voice", "<Response><Gather numDigits='2' action='/digits' timeout='20'><Play loop='0'>/music.wav</Play></Gather></Response>")
    stage.serve("/digits", "<Response><Redirect>/reject</Redirect></Response>")
    stage.serve("/reject", "<Response><Hangup/></Response>")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    customer.hears(WAIT)
    press(customer, "4")
    customer.hears_not(WAIT)
    press(customer, "2")
    assert stage.told("/digits", Digits="42")
    customer.wait("ended")
    assert stage.seen("/reject")


def press(call, key):
    """RFC 4733: one key, three times its end."""
    number = "0123456789*#".index(key)
    host, port = call.media
    at = call.at
    for step in range(6):
        end = 0x80 if step >= 3 else 0
        header = struct.pack("!BBHII", 0x80, 101 | (0x80 if step == 0 else 0), call.number & 0xFFFF, at & 0xFFFFFFFF, call.ssrc)
        call.rtp.sendto(header + struct.pack("!BBH", number, end | 10, 160 * (min(step, 3) + 1)), (host, port))
        call.number += 1
        time.sleep(0.02)


def a_webhook_that_is_down_has_a_fallback(stage):
    stage.serve("/voice", 500)
    stage.serve("/fallback", "<Response><Play loop='0'>/music.wav</Play></Response>")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    customer.hears(WAIT)
    told = stage.told("/fallback", ErrorCode="11200")
    assert told["ErrorUrl"] == f"{stage.app.base}/voice"
    assert "webhook.failed" in stage.edge.names()
    customer.hang_up()
    for wrong, code in ((("text/xml", "<Response><Say>"), "12100"), (("application/json", "{}"), "12300")):
        stage.app.seen.clear()
        stage.serve("/voice", wrong)
        customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
        assert stage.told("/fallback", ErrorCode=code)
        customer.hang_up()
    # with both down the call ends, refused, and nothing is left of it
    stage.serve("/fallback", 500)
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("ended")
    assert customer.status and customer.status >= 400
    nothing_left(stage)


def workers(stage, assignment):
    """A workspace with two workers of one skill, and what its application answers to an assignment."""
    router = stage.sdk.taskrouter.v1
    space = router.workspaces.create(friendly_name="centre")
    here = router.workspaces(space.sid)
    ready = here.activities.create(friendly_name="Available", available=True)
    away = here.activities.create(friendly_name="Wrap-up", available=False)
    boss = here.workers.create(friendly_name="boss", activity_sid=away.sid, attributes='{"contact_uri": "client:boss"}')
    worker = here.workers.create(friendly_name="agent1", activity_sid=ready.sid, attributes='{"contact_uri": "client:agent1", "skills": ["sales"]}')
    here.workers.create(friendly_name="agent2", activity_sid=ready.sid, attributes='{"contact_uri": "client:agent2", "skills": ["billing"]}')
    queue = here.task_queues.create(friendly_name="sales", target_workers="skills HAS 'sales'")
    routing = '{"task_routing": {"filters": [{"expression": "wish == \'buy\'", "targets": [{"queue": "%s"}]}]}}' % queue.sid
    workflow = here.workflows.create(friendly_name="flow", configuration=routing, assignment_callback_url=f"{stage.app.base}/assignment", task_reservation_timeout=30)
    stage.serve("/assignment", ("application/json", assignment(away)))
    stage.serve("/voice", "<Response><Enqueue workflowSid='%s' waitUrl='/waiting' action='/after'><Task>{\"wish\": \"buy\"}</Task></Enqueue></Response>" % workflow.sid)
    stage.serve("/waiting", "<Response><Play loop='0'>/music.wav</Play></Response>")
    stage.serve("/after", "<Response><Hangup/></Response>")
    return here, worker, away, boss


def a_task_brings_agent_and_caller_into_a_conference(stage):
    agent, boss = stage.phone("agent1", AGENT1), stage.phone("boss", BOSS)
    stage.serve("/conference-events", lambda _: "")
    here, worker, away, supervisor = workers(stage, lambda away: (
        '{"instruction": "conference", "from": "%s", "post_work_activity_sid": "%s", "end_conference_on_customer_exit": true, "beep": false, "beep_on_customer_entrance": false,'
        ' "conference_status_callback": "%s/conference-events", "conference_status_callback_event": ["start", "join", "leave", "end"]}' % (NUMBER, away.sid, stage.app.base)))
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    customer.hears(WAIT)
    asked = stage.told("/assignment", WorkerSid=worker.sid)
    assert all(signed for path, _, signed in stage.app.seen if path == "/assignment")
    call = agent.incoming()
    task = here.tasks(asked["TaskSid"])
    assert task.fetch().assignment_status == "reserved"
    # the caller goes on waiting while the agent's phone rings
    assert customer.share(WAIT) > 0.1
    call.answer().wait("confirmed")
    customer.hears(AGENT1).hears_not(WAIT)
    call.hears(CUSTOMER)
    told = task.fetch()
    assert told.assignment_status == "assigned"
    import json
    written = json.loads(told.attributes)["conference"]
    assert written["room_name"] == told.sid and written["sid"].startswith("CF"), written
    assert written["participants"]["customer"] == json.loads(told.attributes)["call_sid"]
    order = [form.get("CallSid") for form in stage.seen("/conference-events") if form["StatusCallbackEvent"] == "participant-join"]
    assert order == [written["participants"]["worker"], written["participants"]["customer"]], order
    # a supervisor whispers, then listens only
    reservation = here.tasks(told.sid).reservations(asked["ReservationSid"])
    assert reservation.fetch().reservation_status == "accepted"
    reservation.update(instruction="supervise", supervisor_mode="whisper", supervisor=supervisor.sid, from_=NUMBER)
    ear = boss.incoming().answer().wait("confirmed")
    ear.hears(CUSTOMER).hears(AGENT1)
    call.hears(BOSS)
    assert customer.share(BOSS) < 0.02
    place = [one for one in stage.sdk.conferences(written["sid"]).participants.list() if one.coaching][0]
    place.update(coaching=False, muted=True)
    call.hears_not(BOSS)
    ear.hears(CUSTOMER)
    place.update(muted=False)
    customer.hears(BOSS)
    call.hears(BOSS)
    refused(40001, 400, lambda: reservation.update(instruction="conference", from_=NUMBER))
    # the customer leaves: the room ends, the task is wrapped up, the worker does what it does afterwards
    customer.hang_up()
    call.wait("ended")
    ear.wait("ended")
    wait_until(lambda: task.fetch().assignment_status == "wrapping", 5, lambda: task.fetch().assignment_status)
    assert here.workers(worker.sid).fetch().activity_name == "Wrap-up"
    assert task.update(assignment_status="completed", reason="bought").assignment_status == "completed"
    refused(40001, 400, lambda: task.update(assignment_status="canceled"))
    assert reservation.fetch().reservation_status == "completed"
    nothing_left(stage)


def a_caller_who_gives_up_takes_its_task_along(stage):
    agent = stage.phone("agent1", AGENT1)
    here, worker, *_ = workers(stage, lambda _: '{"instruction": "conference", "from": "%s"}' % NUMBER)
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    call = agent.incoming()
    asked = stage.told("/assignment", WorkerSid=worker.sid)
    customer.hang_up()
    wait_until(lambda: here.tasks(asked["TaskSid"]).fetch().assignment_status == "canceled", 5, "canceled")
    assert here.tasks(asked["TaskSid"]).fetch().reason == "hangup"
    call.wait("ended", 15)
    nothing_left(stage)


def a_queue_is_answered_in_its_order(stage):
    agent = stage.phone("agent1", AGENT1)
    stage.serve("/voice", "<Response><Enqueue waitUrl='/waiting' action='/after'>support</Enqueue></Response>")
    stage.serve("/waiting", "<Response><Play loop='0'>/music.wav</Play></Response>")
    stage.serve("/after", "<Response><Play loop='0'>/music.wav</Play></Response>")
    first = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    first.hears(WAIT)
    stage.told("/waiting", QueuePosition="1")
    second = stage.phone("+15550101", AGENT2, register=False).call("+15550002").wait("confirmed")
    stage.told("/waiting", QueuePosition="2", CurrentQueueSize="2")
    queue = stage.sdk.queues.list()[0]
    assert (queue.friendly_name, queue.current_size) == ("support", 2)
    assert [member.position for member in stage.sdk.queues(queue.sid).members.list()] == [1, 2]
    stage.sdk.calls.create(to="client:agent1", from_=NUMBER, twiml="<Response><Dial><Queue>support</Queue></Dial></Response>")
    call = agent.incoming().answer().wait("confirmed")
    call.hears(CUSTOMER).hears_not(AGENT2)
    first.hears(AGENT1).hears_not(WAIT)
    call.hang_up()
    first.hears(WAIT)
    assert stage.told("/after", QueueResult="bridged")
    assert second.share(WAIT) > 0.1
    refused(22002, 400, lambda: stage.sdk.queues(queue.sid).delete())
    for caller in (first, second):
        caller.hang_up()
    nothing_left(stage)


def conferences_and_calls_are_recorded(stage):
    stage.app.documents["/conference-events"] = lambda _: ""
    agent = stage.phone("agent1", AGENT1)
    stage.serve("/voice", "<Response><Record playBeep='false' maxLength='2' action='/recorded' recordingStatusCallback='/file'/></Response>")
    stage.serve("/recorded", "<Response><Dial><Conference record='record-from-start' beep='false'>taped</Conference></Dial></Response>")
    stage.serve("/file", lambda _: "")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    told = stage.told("/recorded")
    assert told["RecordingSid"].startswith("RE") and int(told["RecordingDuration"]) in (1, 2), told
    stage.told("/file", RecordingStatus="completed", RecordingSid=told["RecordingSid"])
    stage.sdk.conferences("taped").participants.create(from_=NUMBER, to="client:agent1", beep="false")
    call = agent.incoming().answer().wait("confirmed")
    call.hears(CUSTOMER)
    customer.hang_up()
    call.hang_up()
    wait_until(lambda: len(stage.sdk.recordings.list()) == 2 and all(one.status == "completed" for one in stage.sdk.recordings.list()), 10, "two recordings")
    conference = [one for one in stage.sdk.recordings.list() if one.conference_sid]
    assert len(conference) == 1 and conference[0].source == "Conference"
    assert len(list((stage.folder / "recordings").glob("*.wav"))) == 2
    nothing_left(stage)


def the_node_sdk_says_the_same(stage):
    import json
    import os
    import pathlib
    import shutil
    import subprocess
    modules = pathlib.Path(os.environ.get("NODE_MODULES", ""))
    assert shutil.which("node") and (modules / "twilio").is_dir(), "the Node SDK is not installed"
    agent = stage.phone("agent1", AGENT1)
    stage.app.documents["/conference-events"] = lambda _: ""
    script = pathlib.Path(__file__).with_name("node.cjs")
    edge = "http://%s:%d" % stage.edge._api
    node = subprocess.Popen(["node", str(script), edge, ACCOUNT, TOKEN, NUMBER, stage.app.base], stdout=subprocess.PIPE, text=True,
                            env={**os.environ, "NODE_PATH": str(modules)})
    call = agent.incoming().answer().wait("confirmed")
    call.hears(MUSIC)
    out, _ = node.communicate(timeout=30)
    assert node.returncode == 0, out
    assert json.loads(out) == {"created": "queued", "held": True, "missing": 20404, "participants": 1}
    call.wait("ended")


def an_access_token_registers_its_identity_and_nobody_else(stage):
    from twilio.jwt.access_token import AccessToken
    from twilio.jwt.access_token.grants import VoiceGrant

    def token(identity, secret=SECRET, ttl=600):
        made = AccessToken(ACCOUNT, KEY, secret, identity=identity, ttl=ttl)
        made.add_grant(VoiceGrant(incoming_allow=True))
        return made.to_jwt()

    def register(name, own, status):
        phone = Phone(name, edge=(stage.host, 5060), tone=AGENT1, host=stage.host)
        stage.phones.append(phone)
        # user name and password of the digest are both the token
        phone.login, phone.password = own, own
        phone.registered = None
        phone._register(600)
        wait_until(lambda: phone.registered is not None, 10, f"{name} registers")
        assert phone.registered == status, phone.registered
        return phone
    agent = register("agent1", token("agent1"), 200)
    register("agent2", token("agent1"), 403)
    register("agent2", token("agent2", secret="not the secret"), 401)
    register("agent2", token("agent2", ttl=-10), 401)
    stage.sdk.calls.create(to="client:agent1", from_=NUMBER, twiml="<Response><Play loop='0'>%s/music.wav</Play></Response>" % stage.app.base)
    agent.incoming().answer().wait("confirmed").hears(WAIT).hang_up()
    nothing_left(stage)


an_access_token_registers_its_identity_and_nobody_else.registrar = '[[user]]\nname = "carrier"\npassword = "long enough"'


ALL = [
    the_tutorial_warm_transfer,
    every_role_is_heard_as_it_should_be,
    wrong_states_are_refused_and_change_nothing,
    a_call_is_redirected_by_the_api,
    calls_that_nobody_takes_say_why,
    a_pre_call_whisper_is_heard_by_the_agent_alone,
    keys_are_gathered_and_redirects_followed,
    a_webhook_that_is_down_has_a_fallback,
    a_task_brings_agent_and_caller_into_a_conference,
    a_caller_who_gives_up_takes_its_task_along,
    a_queue_is_answered_in_its_order,
    conferences_and_calls_are_recorded,
    the_node_sdk_says_the_same,
    an_access_token_registers_its_identity_and_nobody_else,
]
