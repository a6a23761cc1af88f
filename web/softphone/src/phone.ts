// The phone: registration, its lines, and what it does with them. It knows SIP (by JsSIP) and nothing of the page.

import JsSIP from "jssip";
import type { RTCSession } from "jssip/lib/RTCSession";
import type { UA } from "jssip/lib/UA";
import type { Audio } from "./audio";
import { Line } from "./line";
import * as messages from "./messages";
import type { Message } from "./messages";
import type { Account } from "./settings";
import { instance } from "./settings";

export type Registration = "out" | "busy" | "in" | "bad";

/** A phone has two hands: one call in front, one beside it to be asked. */
const LINES = 2;
/** Host candidates come at once; an interface that leads nowhere must not hold up the call, in milliseconds. */
const GATHERING = 700;

interface Ended {
  cause: string;
  originator: string;
  message?: { status_code?: number; reason_phrase?: string } | null;
}

export interface Listener {
  changed(): void;
  say(message: Message, kind?: "note" | "error"): void;
  /** The account was refused: sign in anew. */
  refused(message: Message): void;
}

export class Phone {
  registration: Registration = "out";
  lines: Line[] = [];
  account: Account | null = null;
  private ua: UA | null = null;
  private next = 1;
  private everRegistered = false;

  constructor(private readonly domain: string, private readonly audio: Audio, private readonly listener: Listener) {}

  signIn(account: Account): void {
    this.stop();
    this.account = account;
    this.everRegistered = false;
    const socket = new JsSIP.WebSocketInterface(account.server);
    const ua = new JsSIP.UA({
      sockets: [socket],
      uri: `sip:${account.user}@${this.domain}`,
      password: account.password,
      instance_id: instance(),
      user_agent: "warmline-softphone",
      register_expires: 300,
      connection_recovery_min_interval: 1,
      connection_recovery_max_interval: 10,
    });
    this.ua = ua;
    this.set("busy");
    // One that was stopped says goodbye after its successor has begun: that is not for the light.
    const current = (): boolean => this.ua === ua;
    ua.on("connecting", () => current() && this.set("busy"));
    ua.on("disconnected", ({ error }) => {
      if (!current()) {
        return;
      }
      this.set(error && !this.everRegistered ? "bad" : "busy");
      if (error && !this.everRegistered) {
        this.listener.say({
          what: "The phone system does not answer.",
          hint: "It is tried again by itself. Check the server and your network; with a self-signed certificate, open its https address once and accept it.",
        });
      }
    });
    ua.on("registered", () => {
      if (!current()) {
        return;
      }
      this.everRegistered = true;
      this.set("in");
      this.alive().forEach((line) => line.heal());
    });
    ua.on("unregistered", () => current() && this.set("busy"));
    ua.on("registrationFailed", ({ response, cause }) => {
      if (!current()) {
        return;
      }
      const status = response?.status_code ?? 0;
      if (status === 401 || status === 403 || status === 404 || status === 407) {
        const message = status === 404 ? { what: "This user is not known here.", hint: "Check the name." } : messages.ofStatus(401);
        this.stop();
        this.listener.refused(message);
      } else if (status) {
        this.set("bad");
        this.listener.say(messages.ofStatus(status, response.reason_phrase));
      } else if (this.ua?.isConnected()) {
        this.set("bad");
        this.listener.say(messages.ofCause(cause ?? ""));
      }
    });
    ua.on("newRTCSession", (event: { session: RTCSession; originator: string }) => {
      if (event.originator === "remote") {
        this.incoming(event.session);
      }
    });
    ua.start();
  }

  /** Hangs up, unregisters, disconnects. */
  stop(): void {
    this.ua?.stop();
    this.ua = null;
    this.lines.forEach((line) => line.close());
    this.lines = [];
    this.set("out");
  }

  alive(): Line[] {
    return this.lines.filter((line) => !line.over);
  }

  /** The line that keys, mute and the like are meant for. */
  current(): Line | undefined {
    const alive = this.alive();
    const talking = alive.find((line) => line.state === "talking");
    return talking ?? alive.find((line) => line.state === "incoming") ?? alive.find((line) => line.state !== "held") ?? alive[0];
  }

  /** Two parties that can be handed to each other: the one that waits, and the one that was asked. */
  pair(): [Line, Line] | null {
    const [one, other] = this.alive().filter((line) => line.connected && line.state !== "transferring");
    if (!one || !other) {
      return null;
    }
    return one.consultFor === other ? [other, one] : [one, other];
  }

  async call(number: string, consultFor: Line | null = null): Promise<Line | null> {
    const ua = this.ua;
    if (!ua || !number.trim()) {
      return null;
    }
    const target = this.uri(number);
    if (!target) {
      this.listener.say(messages.ofStatus(400));
      return null;
    }
    if (this.registration !== "in") {
      this.listener.say({ what: "You are not connected to the phone system.", hint: "Wait until the light is green, then call again." });
      return null;
    }
    if (this.alive().length >= LINES) {
      this.listener.say({ what: "Both lines are in use.", hint: "Hang up one of them first." });
      return null;
    }
    if (!(await this.holdOthers(null))) {
      return null;
    }
    const microphone = await this.take();
    if (!microphone || this.ua !== ua) {
      return null;
    }
    const session = ua.call(target, { mediaStream: microphone, ...this.media() });
    const line = this.add(session, false, microphone);
    line.consultFor = consultFor;
    return line;
  }

  async answer(line: Line): Promise<void> {
    if (line.state !== "incoming" || !(await this.holdOthers(line))) {
      return;
    }
    const microphone = await this.take();
    if (!microphone) {
      line.session.terminate({ status_code: 480 });
      return;
    }
    if (line.over) {
      this.audio.release(microphone);
      return;
    }
    line.microphone = microphone;
    line.session.answer({ mediaStream: microphone, ...this.media() });
  }

  end(line: Line): void {
    if (!line.over && !line.session.isEnded()) {
      line.session.terminate(line.state === "incoming" ? { status_code: 486 } : {});
    }
  }

  async hold(line: Line, hold: boolean): Promise<void> {
    if (!hold && !(await this.holdOthers(line))) {
      return;
    }
    if (!(await line.hold(hold)) && !line.over) {
      this.listener.say({ what: hold ? "The call could not be held." : "The call could not be taken back.", hint: "Try again." });
    }
  }

  /** RFC 5589 §6: the other side is told whom to call. */
  blind(line: Line, number: string): void {
    const target = this.uri(number);
    if (!target) {
      this.listener.say(messages.ofStatus(400));
      return;
    }
    this.refer(line, null, target, number);
  }

  /** RFC 5589 §7: the one that waits takes our place in the call with the other. */
  async warm(waiting: Line, asked: Line): Promise<void> {
    if (waiting.connected && asked.connected) {
      this.refer(waiting, asked, asked.address, asked.peer);
    }
  }

  private refer(line: Line, asked: Line | null, target: string, name: string): void {
    const before = line.state;
    const peer = line.peer;
    line.state = "transferring";
    this.listener.changed();
    const back = (message: Message): void => {
      if (line.state === "transferring") {
        line.state = before;
      }
      this.listener.say({ what: `${peer} was not transferred: ${lower(message.what)}`, hint: `${peer} is still with you. ${message.hint}` });
      this.listener.changed();
    };
    const done = (): void => {
      this.listener.say({ what: `${peer} and ${name} are connected.`, hint: "You are out of the call." }, "note");
      // RFC 5589 §7: the transferor hangs up once the transfer is reported; the edge may have been quicker.
      for (const one of asked ? [line, asked] : [line]) {
        this.end(one);
      }
    };
    line.session.refer(target, {
      ...(asked ? { replaces: asked.session } : {}),
      eventHandlers: {
        requestFailed: ({ response, cause }: { response: { status_code: number; reason_phrase: string } | null; cause: string }) =>
          back(response ? messages.ofStatus(response.status_code, response.reason_phrase) : messages.ofCause(cause)),
        accepted: done,
        failed: ({ status_line }: { status_line?: { status_code: number; reason_phrase: string } }) =>
          back(messages.ofStatus(Number(status_line?.status_code ?? 500), status_line?.reason_phrase)),
      },
    });
  }

  /** Another microphone, for lines that are up too. */
  async microphoneChanged(): Promise<void> {
    this.audio.forget();
    for (const line of this.alive().filter((one) => one.microphone)) {
      const microphone = await this.take();
      if (microphone) {
        await line.use(microphone);
      }
    }
  }

  private async take(): Promise<MediaStream | null> {
    try {
      return await this.audio.take();
    } catch (error) {
      this.listener.say(messages.ofMicrophone(error));
      return null;
    }
  }

  private media(): object {
    return { pcConfig: { iceServers: [] }, mediaConstraints: { audio: true, video: false } };
  }

  /** A name or a number is one of this domain; anything with an @ stands as it is. */
  private uri(number: string): string | null {
    const text = number.trim().replace(/[\s()]/g, "");
    const whole = /^sips?:/i.test(text) ? text : text.includes("@") ? `sip:${text}` : `sip:${encodeURIComponent(text).replace(/%2B/g, "+").replace(/%23/g, "%23")}@${this.domain}`;
    return JsSIP.URI.parse(whole) ? whole : null;
  }

  private async holdOthers(but: Line | null): Promise<boolean> {
    for (const line of this.alive().filter((one) => one !== but && one.state === "talking")) {
      if (!(await line.hold(true)) && !line.over) {
        this.listener.say({ what: `${line.peer} could not be held.`, hint: "Try again." });
        return false;
      }
    }
    return true;
  }

  private incoming(session: RTCSession): void {
    if (this.alive().length >= LINES) {
      session.terminate({ status_code: 486 });
      return;
    }
    this.add(session, true, null);
  }

  private add(session: RTCSession, incoming: boolean, microphone: MediaStream | null): Line {
    const changed = (): void => this.changed();
    const line = new Line(this.next++, session, incoming, this.audio, microphone, changed);
    this.lines = [...this.alive(), line];
    const gathered = { timer: 0 };
    session.on("icecandidate", ({ ready }) => {
      gathered.timer ||= window.setTimeout(ready, GATHERING);
    });
    session.on("progress", () => {
      if (!incoming) {
        line.state = "ringing";
      }
      changed();
    });
    const up = (): void => {
      if (line.since === null) {
        line.since = Date.now();
        line.state = "talking";
      }
      changed();
    };
    session.on("accepted", up);
    session.on("confirmed", up);
    const held = (): void => {
      const { local, remote } = session.isOnHold();
      line.heldByThem = remote;
      if (line.state === "talking" || line.state === "held") {
        line.state = local ? "held" : "talking";
      }
      changed();
    };
    session.on("hold", held);
    session.on("unhold", held);
    session.on("ended", (event) => this.ended(line, event as unknown as Ended, true));
    session.on("failed", (event) => this.ended(line, event as unknown as Ended, false));
    // The edge asks us to call somebody else (its transfer mode `refer`), or puts another call in this one's place.
    session.on("refer", ({ accept }) => {
      void this.take().then((stream) => {
        if (stream) {
          const take = (made: RTCSession): Line => this.add(made, false, stream);
          accept(take, { mediaStream: stream, ...this.media() });
        }
      });
    });
    session.on("replaces", ({ accept }) => accept((made: RTCSession) => void this.answer(this.add(made, true, null))));
    changed();
    return line;
  }

  private ended(line: Line, { cause, originator, message }: Ended, wasUp: boolean): void {
    const transferring = line.state === "transferring";
    line.close();
    this.lines = this.alive();
    const status = message?.status_code;
    const ours = originator === "local" && cause !== "Dialog Error" && cause !== "Connection Error" && cause !== "User Denied Media Access" && cause !== "WebRTC Error";
    const missed = line.incoming && !wasUp;
    if (!ours && !transferring && cause !== "Terminated") {
      if (missed) {
        this.listener.say({ what: `You missed a call of ${line.peer}.`, hint: "" }, "note");
      } else {
        this.listener.say(status ? messages.ofStatus(status, message?.reason_phrase) : messages.ofCause(cause));
      }
    }
    this.changed();
  }

  private set(registration: Registration): void {
    this.registration = registration;
    this.changed();
  }

  private changed(): void {
    this.ring();
    this.listener.changed();
  }

  private ring(): void {
    const alive = this.alive();
    const talking = alive.some((line) => line.state === "talking");
    const wanted = alive.some((line) => line.state === "incoming") && !talking ? "in" : alive.some((line) => line.state === "ringing" && !line.remote) ? "out" : null;
    this.audio.ring(wanted);
  }
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
