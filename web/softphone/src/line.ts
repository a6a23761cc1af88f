// One call as the page sees it: its state, its streams, what can be done with it.

import type { RTCSession } from "jssip/lib/RTCSession";
import type { Audio } from "./audio";

export type LineState = "incoming" | "calling" | "ringing" | "talking" | "held" | "transferring" | "ended";

/** How long an action waits for a re-INVITE that is under way, in milliseconds, and how often it looks. */
const PATIENCE = 6000;
const LOOK = 100;

export class Line {
  state: LineState;
  /** The other side holds us. */
  heldByThem = false;
  muted = false;
  since: number | null = null;
  /** The keys that were sent as tones. */
  sent = "";
  /** Called by this page to be asked before that line is handed over. */
  consultFor: Line | null = null;
  remote: MediaStream | null = null;
  readonly player = document.createElement("audio");

  constructor(
    readonly id: number,
    readonly session: RTCSession,
    readonly incoming: boolean,
    private readonly audio: Audio,
    public microphone: MediaStream | null,
    private readonly changed: () => void,
  ) {
    this.state = incoming ? "incoming" : "calling";
    this.player.autoplay = true;
    this.player.dataset.line = String(id);
    document.body.append(this.player);
    const hear = (connection: RTCPeerConnection): void => {
      connection.addEventListener("track", ({ track }) => {
        // The receiver's own track: it stays when a transfer puts another party, with other stream ids, behind it.
        this.remote = new MediaStream([track]);
        this.audio.play(this.player, this.remote);
        this.changed();
      });
    };
    if (session.connection) {
      hear(session.connection);
    }
    session.on("peerconnection", ({ peerconnection }) => hear(peerconnection));
    session.on("reinvite", ({ request }) => this.meet(request as unknown as { body?: string }));
  }

  /** Somebody else is put behind this call: we are asked for an offer, or offered another certificate. A connection that
   * has talked with one peer takes another one seconds late or never (Chromium, as DTLS client), so a new one is made. */
  private meet(request: { body?: string }): void {
    const old = this.session.connection;
    const fingerprint = (sdp?: string): string => sdp?.match(/^a=fingerprint:(.*?)\s*$/m)?.[1]?.toUpperCase() ?? "";
    const known = fingerprint(old?.remoteDescription?.sdp);
    if (!old || !this.microphone || (request.body && fingerprint(request.body) === known)) {
      return;
    }
    const inner = this.session as unknown as { _createRTCConnection(config: object, constraints: null): void };
    inner._createRTCConnection({ iceServers: [] }, null);
    this.speakInto(this.session.connection, this.microphone, request.body);
    old.close();
  }

  private speakInto(connection: RTCPeerConnection, microphone: MediaStream, offer?: string): void {
    const [track] = microphone.getAudioTracks();
    if (!track) {
      return;
    }
    if (!offer || !/^a=(sendonly|inactive)\s*$/m.test(offer)) {
      connection.addTrack(track, microphone);
      return;
    }
    // RFC 8829 §5.10: an offer that holds us takes no transceiver which `addTrack` made; it brings one of its own, which
    // would never send again. That one gets our voice, between the offer and our answer.
    const offered = (): void => {
      const transceiver = connection.getTransceivers().find((one) => one.receiver.track.kind === "audio");
      if (connection.signalingState === "have-remote-offer" && transceiver) {
        connection.removeEventListener("signalingstatechange", offered);
        transceiver.direction = "sendrecv";
        transceiver.sender.setStreams(microphone);
        void transceiver.sender.replaceTrack(track);
      }
    };
    connection.addEventListener("signalingstatechange", offered);
  }

  /** The user part, or the whole address where there is none. */
  get peer(): string {
    const { uri, display_name } = this.session.remote_identity;
    return display_name || uri.user || uri.toString();
  }

  get address(): string {
    const { uri } = this.session.remote_identity;
    return `${uri.scheme}:${uri.user ? `${uri.user}@` : ""}${uri.host}${uri.port ? `:${uri.port}` : ""}`;
  }

  get connected(): boolean {
    return this.state === "talking" || this.state === "held" || this.state === "transferring";
  }

  get over(): boolean {
    return this.state === "ended";
  }

  close(): void {
    this.state = "ended";
    this.audio.release(this.microphone);
    this.microphone = null;
    this.player.srcObject = null;
    this.player.remove();
  }

  /** Waits until no re-INVITE is under way; `false` when that took too long or the call ended. */
  private async quiet(): Promise<boolean> {
    for (let waited = 0; waited < PATIENCE; waited += LOOK) {
      if (this.over) {
        return false;
      }
      if (this.session.isReadyToReOffer()) {
        return true;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
    return false;
  }

  async hold(hold: boolean): Promise<boolean> {
    if (!this.connected || !(await this.quiet())) {
      return false;
    }
    if (this.session.isOnHold().local === hold) {
      return true;
    }
    return new Promise((resolve) => {
      const late = window.setTimeout(() => resolve(false), PATIENCE);
      const done = (): void => {
        window.clearTimeout(late);
        resolve(true);
      };
      const begun = hold ? this.session.hold({}, done) : this.session.unhold({}, done);
      if (!begun) {
        window.clearTimeout(late);
        resolve(false);
      }
    });
  }

  mute(mute: boolean): void {
    if (mute) {
      this.session.mute({ audio: true });
    } else {
      this.session.unmute({ audio: true });
    }
    this.muted = mute;
    this.changed();
  }

  /** RFC 4733 where the other side takes it, SIP INFO elsewhere. */
  tone(key: string): void {
    if (!this.connected && this.state !== "ringing") {
      return;
    }
    const sender = this.session.connection?.getSenders().find((one) => one.track?.kind === "audio")?.dtmf;
    const events = sender?.canInsertDTMF ?? false;
    // JsSIP's names of the two ways; its constants are types only.
    const transportType = (events ? "RFC2833" : "INFO") as never;
    this.session.sendDTMF(key, { transportType, duration: 120, interToneGap: 80 });
    this.audio.key(key);
    this.sent = (this.sent + key).slice(-24);
    this.changed();
  }

  async use(microphone: MediaStream): Promise<void> {
    const sender = this.session.connection?.getSenders().find((one) => one.track?.kind === "audio");
    const track = microphone.getAudioTracks()[0];
    if (sender && track) {
      track.enabled = sender.track?.enabled ?? true;
      await sender.replaceTrack(track);
    }
    this.audio.release(this.microphone);
    this.microphone = microphone;
    this.changed();
  }

  /** After the connection to the edge came back: does the edge still know this call, and do the packets still flow? */
  heal(): void {
    if (!this.connected) {
      return;
    }
    const lost = (): void => {
      if (!this.session.isEnded()) {
        this.session.terminate({ cause: "Dialog Error" });
      }
    };
    // RFC 3261 §12.2.1.2: 481 says that the dialog is gone. Sent on the new connection, it shows the edge where we are.
    const ask = this.session as unknown as { sendRequest(method: string, options: object): void };
    ask.sendRequest("OPTIONS", { eventHandlers: { onDialogError: lost } });
    const state = this.session.connection?.iceConnectionState;
    if (state === "failed" || state === "disconnected") {
      void this.restartIce();
    }
  }

  /** RFC 8445 §2.4: new addresses for a call whose old ones lead nowhere. */
  async restartIce(): Promise<void> {
    if (await this.quiet()) {
      this.session.renegotiate({ rtcOfferConstraints: { iceRestart: true } });
    }
  }
}
