"""The verbs and instructions that the conference tests do not need: what each does to a real phone."""

import base64
import json
import re
import subprocess
import time
import urllib.error
import urllib.request
import wave

from phone import wait_until
from tests_twilio import ACCOUNT, AGENT1, AGENT2, CUSTOMER, NUMBER, TOKEN, WAIT, nothing_left, workers

TEXT = "Please hold the line. Seven three one. Your call is important to us."


def samples_of(path):
    """A file's samples at 8,000 Hz, as near as nearest neighbours come: enough for loudness in frames of 20 ms."""
    with wave.open(str(path)) as file:
        octets, rate = file.readframes(file.getnframes()), file.getframerate()
        step = 2 * file.getnchannels()  # the first channel is the party itself
    samples = [int.from_bytes(octets[at:at + 2], "little", signed=True) for at in range(0, len(octets) - 1, step)]
    return [samples[int(at * rate / 8000)] for at in range(len(samples) * 8000 // rate)]


def loudness(samples):
    return [sum(abs(sample) for sample in samples[at:at + 160]) / 160 for at in range(0, len(samples) - 159, 160)]


def alike(one, other):
    """The best correlation of two loudness curves, over every shift: 1 is the same, 0 has nothing to do with it."""
    best = 0.0
    for shift in range(max(1, len(one) - len(other) + 1)):
        a, b = one[shift:shift + len(other)], other
        mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
        top = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b))
        below = (sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)) ** 0.5
        best = max(best, top / below if below else 0.0)
    return best


def a_text_is_spoken_by_the_synthesiser(stage):
    spoken = stage.folder / "spoken.wav"
    spoken.write_bytes(subprocess.run(["espeak-ng", "--stdin", "--stdout", "-v", "en-us"], input=TEXT.encode(), check=True, capture_output=True).stdout)
    stage.serve("/voice", f"<Response><Say language='en-US'>{TEXT}</Say><Record playBeep='false' maxLength='1'/></Response>")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    wanted = loudness(samples_of(spoken))
    everything = listen(customer, len(wanted) / 50 + 1.5)
    found = alike(loudness(everything), wanted)
    assert found > 0.8, f"what was heard is like what the synthesiser says by {found:.2f} only"
    customer.hang_up()
    nothing_left(stage)


def listen(call, seconds):
    """Everything that this phone hears from now on."""
    heard, end = [], time.monotonic() + seconds
    with call.lock:
        call.heard = []
    while time.monotonic() < end:
        time.sleep(0.1)
        with call.lock:
            heard += call.heard
            call.heard = []
    return heard


def a_text_while_keys_are_gathered(stage):
    stage.serve("/voice", f"<Response><Gather numDigits='1' action='/digits' timeout='20'><Say>{TEXT}</Say></Gather></Response>")
    stage.serve("/digits", "<Response><Hangup/></Response>")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    wait_until(lambda: max(loudness(listen(customer, 0.3)), default=0) > 500, 10, "somebody speaks")
    from tests_twilio import press
    press(customer, "7")
    assert stage.told("/digits", Digits="7")
    customer.wait("ended")
    nothing_left(stage)


def a_call_is_rejected_before_it_is_answered(stage):
    for reason, status in (("busy", 486), ("rejected", 603)):
        stage.serve("/voice", f"<Response><Reject reason='{reason}'/></Response>")
        customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("ended")
        assert customer.status == status and customer.answered is None, (reason, customer.status)
    nothing_left(stage)


def a_party_is_referred_and_says_what_came_of_it(stage):
    stage.serve("/voice", "<Response><Refer action='/referred'><Sip>sip:elsewhere@example.test</Sip></Refer></Response>")
    stage.serve("/referred", "<Response><Hangup/></Response>")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    wait_until(lambda: customer.referred, 10, "a REFER comes")
    assert re.search(r"<sip:elsewhere@example\.test>", customer.referred.get("refer-to")), customer.referred.get("refer-to")
    for sipfrag, state in (("SIP/2.0 180 Ringing", "active;expires=60"), ("SIP/2.0 200 OK", "terminated;reason=noresource")):
        customer.notify(sipfrag, state)
    told = stage.told("/referred")
    assert (told["ReferSipResponseCode"], told["NotifySipResponseCode"]) == ("202", "200"), told
    assert told["ReferCallStatus"] == "in-progress", told
    customer.wait("ended")
    nothing_left(stage)


def numbers_are_rung_one_after_the_other(stage):
    stage.serve("/voice", "<Response><Dial sequential='true' timeout='20' action='/after'><Client>agent1</Client><Client>agent2</Client></Dial></Response>")
    stage.serve("/after", "<Response><Hangup/></Response>")
    first, second = stage.phone("agent1", AGENT1), stage.phone("agent2", AGENT2)
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002")
    ringing = first.incoming()
    assert second.new.empty(), "the second rings while the first does"
    ringing.reject(486)
    call = second.incoming().answer().wait("confirmed")
    customer.wait("confirmed")
    customer.hears(AGENT2)
    call.hears(CUSTOMER).hang_up()
    assert stage.told("/after", DialCallStatus="completed")
    customer.wait("ended")
    nothing_left(stage)


def a_trunk_that_asks_who_we_are_is_told(stage):
    trunk, to = stage.phone("trunk", AGENT1, register=False, port=5080), "+4930555"
    stage.sdk.calls.create(to=to, from_=NUMBER, sip_auth_username="me", sip_auth_password="secret", twiml=f"<Response><Play loop='0'>{stage.app.base}/music.wav</Play></Response>")
    asked = trunk.incoming(ring=False)
    asked.challenge("trunk.test", "n1")
    again = trunk.incoming()
    assert again.authorised("me", "secret", "trunk.test", "n1"), again.invite.headers
    again.answer().wait("confirmed").hears(WAIT)
    again.hang_up()
    # The wrong realm's question, once answered with the same, is a refusal and no endless loop.
    call = stage.sdk.calls.create(to=to, from_=NUMBER, sip_auth_username="me", sip_auth_password="wrong", twiml="<Response/>")
    trunk.incoming(ring=False).challenge("trunk.test", "n2")
    trunk.incoming(ring=False).challenge("trunk.test", "n3")
    wait_until(lambda: stage.sdk.calls(call.sid).fetch().status == "failed", 10, lambda: stage.sdk.calls(call.sid).fetch().status)
    nothing_left(stage)


a_trunk_that_asks_who_we_are_is_told.registrar = "[registrar]\nopen = true\n[[route]]\nmatch = '^\\+49'\nto = \"sip:{host}:5080\""


def digits_are_sent_once_it_is_answered(stage):
    agent = stage.phone("agent1", AGENT1)
    stage.sdk.calls.create(to="client:agent1", from_=NUMBER, send_digits="12w#", twiml=f"<Response><Play loop='0'>{stage.app.base}/music.wav</Play></Response>")
    call = agent.incoming().answer().wait("confirmed")
    wait_until(lambda: "".join(call.keys) == "12#", 10, lambda: f"the keys are {call.keys}")
    call.hears(WAIT)
    call.hang_up()
    nothing_left(stage)


def a_worker_is_dequeued_to(stage):
    here, worker, away, call, customer, asked = offered(stage, lambda away: '{"instruction": "dequeue", "from": "%s", "post_work_activity_sid": "%s"}' % (NUMBER, away.sid))
    call.answer().wait("confirmed")
    call.hears(CUSTOMER)
    customer.hears(AGENT1).hears_not(WAIT)
    assert here.tasks(asked["TaskSid"]).fetch().assignment_status == "assigned"
    call.hang_up()
    customer.wait("ended")
    wait_until(lambda: here.workers(worker.sid).fetch().activity_name == "Wrap-up", 5, "wrap-up")
    nothing_left(stage)


def offered(stage, instruction):
    agent = stage.phone("agent1", AGENT1)
    here, worker, away, _ = workers(stage, instruction)
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    customer.hears(WAIT)
    asked = stage.told("/assignment", WorkerSid=worker.sid)
    return here, worker, away, agent.incoming(), customer, asked


def a_worker_is_called_by_an_application(stage):
    stage.serve("/worker", f"<Response><Play loop='0'>{stage.app.base}/music.wav</Play></Response>")
    here, worker, _, call, customer, asked = offered(
        stage, lambda _: '{"instruction": "call", "from": "%s", "url": "%s/worker", "accept": true}' % (NUMBER, stage.app.base))
    call.answer().wait("confirmed")
    call.hears(WAIT)
    wait_until(lambda: here.tasks(asked["TaskSid"]).fetch().assignment_status == "assigned", 5, "assigned")
    call.hang_up()
    customer.hears(WAIT)
    customer.hang_up()
    nothing_left(stage)


def a_caller_is_redirected_by_an_instruction(stage):
    agent = stage.phone("agent1", AGENT1)
    stage.serve("/elsewhere", "<Response><Dial><Client>agent1</Client></Dial></Response>")
    here, worker, _, _ = workers(stage, lambda _: "{}")
    stage.serve("/assignment", lambda form: ("application/json", json.dumps({
        "instruction": "redirect", "call_sid": json.loads(form["TaskAttributes"])["call_sid"], "url": f"{stage.app.base}/elsewhere", "accept": True})))
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    asked = stage.told("/assignment", WorkerSid=worker.sid)
    call = agent.incoming().answer().wait("confirmed")
    call.hears(CUSTOMER)
    customer.hears(AGENT1).hears_not(WAIT)
    assert here.tasks(asked["TaskSid"]).fetch().assignment_status in ("assigned", "completed", "wrapping")
    customer.hang_up()
    call.wait("ended")
    nothing_left(stage)


def a_recording_is_fetched_and_deleted(stage):
    stage.serve("/voice", "<Response><Record playBeep='false' maxLength='2' action='/recorded'/></Response>")
    stage.serve("/recorded", "<Response><Hangup/></Response>")
    customer = stage.phone("+15550100", CUSTOMER, register=False).call("+15550002").wait("confirmed")
    told = stage.told("/recorded")
    customer.wait("ended")
    wait_until(lambda: stage.sdk.recordings(told["RecordingSid"]).fetch().status == "completed", 10, "completed")
    url = told["RecordingUrl"]
    assert fetched(url, None) == 401 and fetched(url + ".mp3") == 404, "who may fetch it, and as what"
    for ending in ("", ".wav"):
        path = stage.folder / "fetched.wav"
        path.write_bytes(fetched(url + ending))
        samples = samples_of(path)
        from phone import _power
        # A busy machine may keep the phone itself from speaking for a moment.
        best = max(_power(samples[at:at + 2400], CUSTOMER) for at in range(0, len(samples) - 2400, 800))
        assert best > 0.9, f"the customer's tone is not in it: {best:.2f}"
    assert stage.sdk.recordings(told["RecordingSid"]).fetch().channels == 2
    assert stage.sdk.recordings(told["RecordingSid"]).delete()
    assert fetched(url) == 404 and not list((stage.folder / "recordings").glob("*.wav"))
    nothing_left(stage)


def fetched(url, login=f"{ACCOUNT}:{TOKEN}"):
    request = urllib.request.Request(url)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.headers["Content-Type"] == "audio/x-wav", answer.headers["Content-Type"]
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.code


ALL = [
    a_text_is_spoken_by_the_synthesiser,
    a_text_while_keys_are_gathered,
    a_call_is_rejected_before_it_is_answered,
    a_party_is_referred_and_says_what_came_of_it,
    numbers_are_rung_one_after_the_other,
    a_trunk_that_asks_who_we_are_is_told,
    digits_are_sent_once_it_is_answered,
    a_worker_is_dequeued_to,
    a_worker_is_called_by_an_application,
    a_caller_is_redirected_by_an_instruction,
    a_recording_is_fetched_and_deleted,
]
