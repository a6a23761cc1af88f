// The page: shows the phone, and turns clicks and keys into its actions.

import "./digest";
import { Audio, KEYS, Meter } from "./audio";
import type { Line } from "./line";
import type { Message } from "./messages";
import { Phone } from "./phone";
import * as settings from "./settings";
import { LineCard } from "./view";

function element<E extends HTMLElement>(id: string): E {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`the page has no #${id}`);
  }
  return found as E;
}

const PAD: [string, string][] = [
  ["1", ""], ["2", "ABC"], ["3", "DEF"], ["4", "GHI"], ["5", "JKL"], ["6", "MNO"],
  ["7", "PQRS"], ["8", "TUV"], ["9", "WXYZ"], ["*", ""], ["0", "+"], ["#", ""],
];

class Page {
  private readonly audio = new Audio(settings.choice);
  private readonly phone: Phone;
  private readonly cards = new Map<Line, LineCard>();
  private readonly alert = element("alert");
  private readonly number = element<HTMLInputElement>("number");
  private readonly user = element<HTMLInputElement>("user");
  private readonly password = element<HTMLInputElement>("password");
  private readonly server = element<HTMLSelectElement>("server");
  private readonly remember = element<HTMLInputElement>("remember");
  private test: { stream: MediaStream; meter: Meter } | null = null;

  constructor(private readonly config: settings.Config) {
    this.phone = new Phone(config.domain, this.audio, {
      changed: () => this.show(),
      say: (message, kind) => this.say(message, kind),
      refused: (message) => {
        this.say(message);
        this.show();
        this.password.value = "";
        this.password.focus();
      },
    });
    element("version").textContent = `warmline ${config.version}`;
    this.signInForm();
    this.dialler();
    this.devices();
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("pointerdown", () => this.audio.wake());
    element("alert-close").addEventListener("click", () => (this.alert.hidden = true));
    element("join-go").addEventListener("click", () => this.join());
    window.addEventListener("beforeunload", (event) => {
      if (this.phone.alive().length > 0) {
        event.preventDefault();
      }
    });
    // The other side is told: a BYE leaves before the page does.
    window.addEventListener("pagehide", () => this.phone.stop());
    window.setInterval(() => this.tick(), 100);
    this.show();
    const known = settings.account();
    if (known.user && known.password !== undefined && known.server && this.serves(known.server)) {
      this.phone.signIn({ user: known.user, password: known.password, server: known.server });
    }
  }

  private serves(url: string): boolean {
    return this.config.servers.some((server) => server.url === url);
  }

  private say({ what, hint }: Message, kind: "note" | "error" = "error"): void {
    element("alert-what").textContent = what;
    element("alert-hint").textContent = hint;
    this.alert.dataset.kind = kind;
    this.alert.hidden = false;
  }

  private signInForm(): void {
    const known = settings.account();
    this.user.value = known.user ?? "";
    this.remember.checked = known.kept;
    for (const { url } of this.config.servers) {
      this.server.append(new Option(url, url));
    }
    if (known.server && this.serves(known.server)) {
      this.server.value = known.server;
    }
    element("server-row").hidden = this.config.servers.length < 2;
    element("sign-in-note").textContent = `You will be reachable as sip:…@${this.config.domain}`;
    element<HTMLFormElement>("sign-in").addEventListener("submit", (event) => {
      event.preventDefault();
      this.audio.wake();
      this.alert.hidden = true;
      const account = { user: this.user.value.trim(), password: this.password.value, server: this.server.value };
      settings.remember(account, this.remember.checked);
      this.phone.signIn(account);
    });
    element("sign-out").addEventListener("click", () => {
      settings.forget();
      element<HTMLDialogElement>("settings").close();
      this.password.value = "";
      this.alert.hidden = true;
      this.phone.stop();
    });
  }

  private dialler(): void {
    const pad = element("pad");
    for (const [key, letters] of PAD) {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.key = key;
      const small = document.createElement("small");
      small.textContent = letters;
      button.append(key, small);
      button.addEventListener("click", () => this.press(key));
      pad.append(button);
    }
    element("dial-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.audio.wake();
      this.alert.hidden = true;
      void this.phone.call(this.number.value).then((line) => {
        if (line) {
          this.number.value = "";
        }
      });
    });
    element("erase").addEventListener("click", () => {
      this.number.value = this.number.value.slice(0, -1);
      this.number.focus();
    });
  }

  /** A key of the pad: a tone in a call, a digit otherwise. */
  private press(key: string): void {
    const line = this.phone.current();
    if (line && (line.state === "talking" || line.state === "ringing")) {
      line.tone(key);
    } else {
      this.number.value += key;
      this.audio.wake();
      this.audio.key(key);
    }
  }

  private devices(): void {
    const dialog = element<HTMLDialogElement>("settings");
    const [microphone, speaker] = [element<HTMLSelectElement>("microphone"), element<HTMLSelectElement>("speaker")];
    const [processing, theme] = [element<HTMLInputElement>("processing"), element<HTMLSelectElement>("theme")];
    const list = async (): Promise<void> => {
      const { microphone: mic, speaker: out } = settings.choice();
      const all = await this.audio.devices();
      for (const [select, kind, chosen] of [[microphone, "audioinput", mic], [speaker, "audiooutput", out]] as const) {
        const found = all.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default");
        const options = found.map((device, at) => new Option(device.label || `${kind === "audioinput" ? "Microphone" : "Speaker"} ${at + 1}`, device.deviceId));
        select.replaceChildren(new Option("As the system", ""), ...options);
        select.value = found.some((device) => device.deviceId === chosen) ? chosen : "";
      }
    };
    const listen = async (): Promise<void> => {
      this.deaf();
      try {
        const stream = await this.audio.take();
        const meter = new Meter(this.audio.context, element("mic-level"));
        meter.listen(stream);
        this.test = { stream, meter };
      } catch {
        // The list says that there is none; a call would say why.
      }
      await list();
    };
    element("open-settings").addEventListener("click", () => {
      this.audio.wake();
      processing.checked = settings.choice().processing;
      theme.value = settings.theme();
      element("sign-out").hidden = this.phone.registration === "out";
      dialog.showModal();
      void list().then(listen);
    });
    dialog.addEventListener("close", () => this.deaf());
    const changed = (): void => {
      settings.choose({ microphone: microphone.value, speaker: speaker.value, processing: processing.checked });
      this.phone.alive().forEach((line) => this.audio.toSpeaker(line.player));
      void this.phone.microphoneChanged().then(listen);
    };
    [microphone, speaker, processing].forEach((one) => one.addEventListener("change", changed));
    theme.addEventListener("change", () => settings.paint(theme.value));
    navigator.mediaDevices?.addEventListener("devicechange", () => void list());
  }

  /** The settings' level meter gives its microphone back. */
  private deaf(): void {
    if (this.test) {
      this.test.meter.listen(null);
      this.audio.release(this.test.stream);
      this.test = null;
    }
  }

  private key(event: KeyboardEvent): void {
    this.audio.wake();
    const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLSelectElement;
    if (event.ctrlKey || event.altKey || event.metaKey || element<HTMLDialogElement>("settings").open || this.phone.registration === "out") {
      return;
    }
    const line = this.phone.current();
    if (event.key === "Escape" && line) {
      event.preventDefault();
      this.phone.end(line);
    } else if (!typing && event.key === "Enter" && line?.state === "incoming" && !(event.target instanceof HTMLButtonElement)) {
      event.preventDefault();
      void this.phone.answer(line);
    } else if (!typing && KEYS.includes(event.key) && /^[0-9*#]$/.test(event.key)) {
      event.preventDefault();
      this.press(event.key);
    } else if (!typing && line?.connected) {
      const actions: Record<string, () => void> = {
        h: () => void this.phone.hold(line, line.state !== "held"),
        m: () => line.mute(!line.muted),
        t: () => this.cards.get(line)?.openTransfer(),
      };
      const action = actions[event.key.toLowerCase()];
      if (action) {
        event.preventDefault();
        action();
      }
    }
  }

  private join(): void {
    const pair = this.phone.pair();
    if (pair) {
      void this.phone.warm(...pair);
    }
  }

  private show(): void {
    const { registration, account } = this.phone;
    const status = element("status");
    const words = {
      out: "Signed out",
      busy: "Connecting …",
      in: account?.user ?? "",
      bad: "Not connected",
    };
    status.dataset.state = registration;
    status.textContent = words[registration];
    element("sign-in").hidden = registration !== "out";
    element("desk").hidden = registration === "out";
    const lines = this.phone.alive();
    for (const [line, card] of this.cards) {
      if (line.over) {
        card.remove();
        this.cards.delete(line);
      }
    }
    for (const line of lines) {
      let card = this.cards.get(line);
      if (!card) {
        card = new LineCard(line, this.phone, this.audio.context);
        this.cards.set(line, card);
        element("lines").append(card.root);
        if (line.state === "incoming") {
          card.root.focus();
        }
      }
      card.show(line === this.phone.current());
    }
    const pair = this.phone.pair();
    element("join").hidden = !pair;
    if (pair) {
      element("join-text").textContent = `${pair[0].peer} waits, ${pair[1].peer} is on the line.`;
      element("join-label").textContent = `Connect ${pair[0].peer} with ${pair[1].peer}`;
    }
    element("empty").hidden = lines.length > 0;
    element("calls").dataset.busy = String(lines.length > 0);
    element("call").hidden = lines.length >= 2;
    const ringing = lines.find((line) => line.state === "incoming");
    document.title = ringing ? `☎ ${ringing.peer} calls` : "warmline phone";
  }

  private tick(): void {
    this.cards.forEach((card) => card.tick());
    this.test?.meter.draw();
  }
}

settings.paint(settings.theme());
void settings
  .config()
  .then((config) => new Page(config))
  .catch((error: unknown) => {
    element("alert-what").textContent = "The page cannot reach its server.";
    element("alert-hint").textContent = `Reload it; if this stays, tell whoever runs the phone system (${String(error)}).`;
    element("alert").hidden = false;
  });
