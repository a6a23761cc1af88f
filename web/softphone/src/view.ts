// The card of one call.

import { Meter } from "./audio";
import type { Line } from "./line";
import type { Phone } from "./phone";

function words(line: Line): string {
  switch (line.state) {
    case "incoming":
      return "is calling you";
    case "calling":
      return "Calling …";
    case "ringing":
      return "Ringing …";
    case "talking":
      return line.heldByThem ? "They have put you on hold" : line.muted ? "You are muted" : "Talking";
    case "held":
      return "On hold";
    case "transferring":
      return "Being transferred …";
    case "ended":
      return "Ended";
  }
}

function clock(since: number): string {
  const seconds = Math.max(0, Math.floor((Date.now() - since) / 1000));
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  const padded = String(rest).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${padded}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${padded}`;
}

export class LineCard {
  readonly root: HTMLElement;
  private readonly transfer: HTMLFormElement;
  private readonly target: HTMLInputElement;
  private readonly meters: [Meter, Meter];

  constructor(private readonly line: Line, private readonly phone: Phone, context: AudioContext) {
    const template = document.getElementById("line-template") as HTMLTemplateElement;
    this.root = (template.content.cloneNode(true) as DocumentFragment).firstElementChild as HTMLElement;
    this.root.dataset.line = String(line.id);
    this.transfer = this.find("form.transfer");
    this.target = this.find("form.transfer input");
    this.meters = [new Meter(context, this.find(".meter.in b")), new Meter(context, this.find(".meter.out b"))];
    this.on("answer", () => void phone.answer(line));
    this.on("end", () => phone.end(line));
    this.on("hold", () => void phone.hold(line, line.state !== "held"));
    this.on("mute", () => line.mute(!line.muted));
    this.on("transfer", () => (this.transfer.hidden ? this.openTransfer() : this.closeTransfer()));
    this.on("blind", () => {
      if (this.target.value.trim()) {
        phone.blind(line, this.target.value);
        this.closeTransfer();
      }
    });
    this.transfer.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.target.value.trim()) {
        void phone.call(this.target.value, line);
        this.closeTransfer();
      }
    });
    this.transfer.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        event.stopPropagation();
        this.closeTransfer();
        // A field that is hidden would keep the keyboard until the page is drawn again.
        this.find<HTMLButtonElement>('[data-do="transfer"]').focus();
      }
    });
  }

  private find<E extends HTMLElement>(selector: string): E {
    const found = this.root.querySelector<E>(selector);
    if (!found) {
      throw new Error(`the card has no ${selector}`);
    }
    return found;
  }

  private on(what: string, action: () => void): void {
    this.find(`[data-do="${what}"]`).addEventListener("click", action);
  }

  openTransfer(): void {
    if (this.line.connected) {
      this.transfer.hidden = false;
      this.find('[data-do="transfer"]').setAttribute("aria-expanded", "true");
      this.target.focus();
    }
  }

  private closeTransfer(): void {
    this.transfer.hidden = true;
    this.target.value = "";
    this.find('[data-do="transfer"]').setAttribute("aria-expanded", "false");
  }

  show(current: boolean): void {
    const { line } = this;
    this.root.dataset.state = line.state;
    this.root.dataset.current = String(current);
    this.find("h2").textContent = line.peer;
    this.find(".avatar").textContent = (line.peer[0] ?? "?").toUpperCase();
    this.find(".state").textContent = words(line);
    this.find(".sent").textContent = line.sent;
    const settled = line.connected && line.state !== "transferring";
    this.find<HTMLElement>(".meters").hidden = !line.connected;
    this.find<HTMLElement>('[data-do="answer"]').hidden = line.state !== "incoming";
    for (const what of ["hold", "mute", "transfer"]) {
      this.find<HTMLElement>(`[data-do="${what}"]`).hidden = !line.connected;
      this.find<HTMLButtonElement>(`[data-do="${what}"]`).disabled = !settled;
    }
    // With both lines in use there is nobody to be asked: the two are connected by the button above them.
    this.find<HTMLButtonElement>('[data-do="ask"]').disabled = this.phone.alive().length > 1;
    this.toggle("hold", line.state === "held", line.state === "held" ? "Resume" : "Hold", line.state === "held" ? "i-play" : "i-hold");
    this.toggle("mute", line.muted, line.muted ? "Unmute" : "Mute", line.muted ? "i-muted" : "i-mic");
    this.find('[data-do="end"] span').textContent = line.state === "incoming" ? "Decline" : line.connected ? "Hang up" : "Cancel";
    if (!line.connected) {
      this.closeTransfer();
    }
    this.meters[0].listen(line.remote);
    this.meters[1].listen(line.microphone);
    this.tick();
  }

  private toggle(what: string, pressed: boolean, label: string, icon: string): void {
    const button = this.find(`[data-do="${what}"]`);
    button.setAttribute("aria-pressed", String(pressed));
    this.find(`[data-do="${what}"] span`).textContent = label;
    this.find(`[data-do="${what}"] use`).setAttribute("href", `#${icon}`);
  }

  tick(): void {
    this.find("time").textContent = this.line.since === null ? "" : clock(this.line.since);
    this.meters.forEach((meter) => meter.draw());
  }

  remove(): void {
    this.meters.forEach((meter) => meter.listen(null));
    this.root.remove();
  }
}
