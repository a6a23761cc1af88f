// Microphone, speaker, levels and the sounds that the page makes itself.

export interface Choice {
  microphone: string;
  speaker: string;
  /** Echo cancellation, noise suppression and gain control of the browser. */
  processing: boolean;
}

type Sinkable = HTMLMediaElement & { setSinkId?: (id: string) => Promise<void> };

/** RMS in [0, 1] on a scale on which speech is in the middle: -60 dB is 0, 0 dB is 1. */
function level(analyser: AnalyserNode, samples: Float32Array<ArrayBuffer>): number {
  analyser.getFloatTimeDomainData(samples);
  let sum = 0;
  for (const sample of samples) {
    sum += sample * sample;
  }
  const rms = Math.sqrt(sum / samples.length);
  return rms > 0 ? Math.min(1, Math.max(0, 1 + (20 * Math.log10(rms)) / 60)) : 0;
}

/** Shows how loud a stream is. */
export class Meter {
  private readonly analyser: AnalyserNode;
  private readonly samples: Float32Array<ArrayBuffer>;
  private source: MediaStreamAudioSourceNode | null = null;
  private stream: MediaStream | null = null;

  constructor(private readonly context: AudioContext, private readonly bar: HTMLElement) {
    this.analyser = context.createAnalyser();
    this.analyser.fftSize = 1024;
    this.samples = new Float32Array(this.analyser.fftSize);
  }

  listen(stream: MediaStream | null): void {
    if (stream === this.stream) {
      return;
    }
    this.source?.disconnect();
    this.stream = stream;
    this.source = stream && stream.getAudioTracks().length > 0 ? this.context.createMediaStreamSource(stream) : null;
    this.source?.connect(this.analyser);
  }

  draw(): void {
    const now = this.source ? level(this.analyser, this.samples) : 0;
    this.bar.style.transform = `scaleX(${now.toFixed(3)})`;
    this.bar.dataset.loud = String(now > 0.93);
  }
}

/** DTMF frequencies by ITU-T Q.23. */
const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477, 1633];
export const KEYS = "123A456B789C*0#D";

export class Audio {
  private made: AudioContext | null = null;
  private microphone: MediaStream | null = null;
  private users = 0;
  private ringing: { stop(): void } | null = null;

  constructor(private readonly choice: () => Choice) {}

  get context(): AudioContext {
    this.made ??= new AudioContext();
    return this.made;
  }

  /** Browsers start sound only after a click or a key: called from those. */
  wake(): void {
    if (this.context.state === "suspended") {
      void this.context.resume();
    }
  }

  private constraints(): MediaTrackConstraints {
    const { microphone, processing } = this.choice();
    return {
      ...(microphone ? { deviceId: { ideal: microphone } } : {}),
      echoCancellation: processing,
      noiseSuppression: processing,
      autoGainControl: processing,
    };
  }

  /** A stream of the microphone for one line, which can be muted without the others. Give it back by `release`. */
  async take(): Promise<MediaStream> {
    if (!navigator.mediaDevices) {
      throw new Error("no microphone on an insecure page");
    }
    const alive = this.microphone?.getAudioTracks().some((track) => track.readyState === "live");
    if (!alive) {
      this.microphone = await navigator.mediaDevices.getUserMedia({ audio: this.constraints() });
    }
    this.users += 1;
    return (this.microphone as MediaStream).clone();
  }

  release(stream: MediaStream | null): void {
    if (!stream) {
      return;
    }
    stream.getTracks().forEach((track) => track.stop());
    this.users = Math.max(0, this.users - 1);
    if (this.users === 0) {
      this.microphone?.getTracks().forEach((track) => track.stop());
      this.microphone = null;
    }
  }

  /** The next `take` asks the browser again: the choice has changed. */
  forget(): void {
    this.microphone?.getTracks().forEach((track) => track.stop());
    this.microphone = null;
  }

  async devices(): Promise<MediaDeviceInfo[]> {
    return navigator.mediaDevices ? navigator.mediaDevices.enumerateDevices() : [];
  }

  /** An element that plays a stream on the chosen speaker. */
  play(element: HTMLAudioElement, stream: MediaStream): void {
    if (element.srcObject !== stream) {
      element.srcObject = stream;
    }
    this.toSpeaker(element);
    void element.play().catch(() => undefined); // before the first click; the click that answers plays it
  }

  toSpeaker(element: Sinkable): void {
    const { speaker } = this.choice();
    if (element.setSinkId) {
      void element.setSinkId(speaker).catch(() => undefined); // unplugged: the system's own is used
    }
  }

  private oscillate(frequencies: number[], gain: number, from: number, to: number): OscillatorNode[] {
    const volume = this.context.createGain();
    volume.connect(this.context.destination);
    volume.gain.setValueAtTime(0, from);
    volume.gain.linearRampToValueAtTime(gain, from + 0.01);
    volume.gain.setValueAtTime(gain, to - 0.01);
    volume.gain.linearRampToValueAtTime(0, to);
    return frequencies.map((frequency) => {
      const oscillator = this.context.createOscillator();
      oscillator.frequency.value = frequency;
      oscillator.connect(volume);
      oscillator.start(from);
      oscillator.stop(to);
      return oscillator;
    });
  }

  /** What one hears of a key that one presses. */
  key(key: string): void {
    const at = KEYS.indexOf(key);
    if (at >= 0) {
      const now = this.context.currentTime;
      this.oscillate([ROWS[at >> 2] as number, COLUMNS[at & 3] as number], 0.04, now, now + 0.12);
    }
  }

  /** Rings: for a call that comes (`in`) or one that is made and rings over there (`out`). */
  ring(kind: "in" | "out" | null): void {
    this.ringing?.stop();
    this.ringing = null;
    if (!kind) {
      return;
    }
    const burst = (): OscillatorNode[] => {
      const now = this.context.currentTime;
      return kind === "in"
        ? [...this.oscillate([620, 930], 0.06, now, now + 0.35), ...this.oscillate([740, 1110], 0.06, now + 0.4, now + 0.75)]
        : this.oscillate([425], 0.03, now, now + 1);
    };
    let sounding = burst();
    const timer = window.setInterval(() => (sounding = burst()), kind === "in" ? 2000 : 4000);
    this.ringing = {
      stop: () => {
        window.clearInterval(timer);
        sounding.forEach((oscillator) => oscillator.disconnect());
      },
    };
  }
}
