// A person at the softphone page: clicks what people click, reads what they read, and hears what comes out of it.

import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const { chromium } = createRequire(path.join(process.env.PLAYWRIGHT_FROM, 'package.json'))('playwright-core');

// A closed network, no sandbox for root, a microphone that plays a file, addresses in ICE candidates instead of mDNS names.
const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--disable-default-apps', '--disable-extensions', '--metrics-recording-only', '--no-default-browser-check',
  '--disable-domain-reliability', '--disable-client-side-phishing-detection',
  '--disable-features=WebRtcHideLocalIpsWithMdns,OptimizationHints,MediaRouter,DialMediaRouteProvider,Translate',
  '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--autoplay-policy=no-user-gesture-required',
  '--allow-loopback-in-peer-connection', '--ignore-certificate-errors', '--disable-dev-shm-usage',
  '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost',
];

/** A WAV file with this tone, of whole cycles so that it can be played in a loop. */
function tone(file, hertz, seconds = 10, rate = 48_000) {
  const samples = seconds * rate;
  const wav = Buffer.alloc(44 + 2 * samples);
  wav.write('RIFF', 0);
  wav.writeUInt32LE(36 + 2 * samples, 4);
  wav.write('WAVEfmt ', 8);
  wav.writeUInt32LE(16, 16);
  wav.writeUInt16LE(1, 20);
  wav.writeUInt16LE(1, 22);
  wav.writeUInt32LE(rate, 24);
  wav.writeUInt32LE(2 * rate, 28);
  wav.writeUInt16LE(2, 32);
  wav.writeUInt16LE(16, 34);
  wav.write('data', 36);
  wav.writeUInt32LE(2 * samples, 40);
  for (let at = 0; at < samples; at += 1) wav.writeInt16LE(Math.round(9_000 * Math.sin((2 * Math.PI * hertz * at) / rate)), 44 + 2 * at);
  fs.writeFileSync(file, wav);
}

/** Runs in the page: hears every line's player through an analyser, and keeps note of when a tone was there. */
function ears() {
  const heard = new Map();
  let context;
  const analyser = (element) => {
    context ??= new AudioContext();
    const stream = element.srcObject;
    const known = heard.get(element);
    if (known?.stream === stream) return known.node;
    const node = context.createAnalyser();
    node.fftSize = 8192;
    node.smoothingTimeConstant = 0;
    context.createMediaStreamSource(stream).connect(node);
    heard.set(element, { stream, node });
    return node;
  };
  const players = () => [...document.querySelectorAll('audio[data-line]')].filter((element) => element.srcObject);
  // Loudness in dB below full scale, and the strongest frequencies.
  const listen = (element) => {
    const node = analyser(element);
    const samples = new Float32Array(node.fftSize);
    node.getFloatTimeDomainData(samples);
    const rms = Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
    const bins = new Float32Array(node.frequencyBinCount);
    node.getFloatFrequencyData(bins);
    const width = context.sampleRate / node.fftSize;
    const peaks = [];
    for (let at = 2; at < bins.length - 2; at += 1) {
      if (bins[at] > bins[at - 1] && bins[at] >= bins[at + 1]) peaks.push({ hertz: at * width, db: bins[at] });
    }
    peaks.sort((one, other) => other.db - one.db);
    return { db: rms > 0 ? 20 * Math.log10(rms) : -200, peaks: peaks.slice(0, 4), width };
  };
  window.warmlineEars = {
    hear: () => players().map(listen),
    // Notes every 20 ms whether the tone was there; `gap` is the longest time without it, in ms.
    watch(hertz) {
      const started = performance.now();
      let last = started;
      let gap = 0;
      const timer = setInterval(() => {
        const there = players().map(listen).some(({ db, peaks: [peak], width }) => db > -50 && peak && Math.abs(peak.hertz - hertz) < 2 * width);
        const now = performance.now();
        if (there) {
          gap = Math.max(gap, now - last);
          last = now;
        }
      }, 20);
      this.stop = () => {
        clearInterval(timer);
        return { gap: Math.max(gap, performance.now() - last), watched: performance.now() - started };
      };
    },
  };
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for `look` to give something truthy; says what was seen last if it does not come. */
export async function until(what, look, limit = 20_000) {
  const end = Date.now() + limit;
  let seen;
  for (;;) {
    try {
      seen = await look();
      if (seen) return seen;
    } catch (error) {
      seen = error.message;
    }
    if (Date.now() > end) throw new Error(`waited ${limit / 1000} s for this: ${what}`);
    await sleep(60);
  }
}

export class Person {
  static async born(name, hertz) {
    const person = new Person();
    Object.assign(person, { name, hertz, errors: [] });
    person.folder = fs.mkdtempSync(path.join(os.tmpdir(), `warmline-${name}-`));
    const wav = path.join(person.folder, 'tone.wav');
    tone(wav, hertz);
    person.context = await chromium.launchPersistentContext(path.join(person.folder, 'profile'), {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      headless: true,
      args: [...FLAGS, `--use-file-for-fake-audio-capture=${wav}`],
      permissions: ['microphone'],
      chromiumSandbox: false,
      ignoreHTTPSErrors: true,
      viewport: { width: 960, height: 720 },
    });
    await person.context.addInitScript(ears);
    // A pure tone is what noise suppression is made to remove.
    await person.context.addInitScript(() => {
      if (!localStorage.getItem('warmline.choice')) localStorage.setItem('warmline.choice', '{"processing":false}');
    });
    return person;
  }

  /** Opens the page in a new tab and forgets whoever sat here before. */
  async open(url) {
    for (const page of this.context.pages()) await page.close();
    this.page = await this.context.newPage();
    this.errors = [];
    this.page.on('console', (message) => {
      if (process.env.V) console.log(`    [${this.name}]`, message.text());
      if (/Content Security Policy|Refused to/.test(message.text())) this.errors.push(message.text());
    });
    this.page.on('pageerror', (error) => this.errors.push(error.message));
    this.page.on('dialog', (dialog) => void dialog.accept().catch(() => {}));
    await this.page.goto(url);
    await this.page.evaluate(() => {
      localStorage.removeItem('warmline.account');
      sessionStorage.clear();
    });
    await this.page.reload();
  }

  async signIn(server, password = `pw-${this.name}`) {
    const { page } = this;
    await page.fill('#user', this.name);
    await page.fill('#password', password);
    if (server) await page.selectOption('#server', server);
    await page.click('#sign-in-go');
  }

  async registered() {
    await until(`${this.name} is registered`, () => this.page.locator('#status[data-state="in"]').count());
  }

  line(peer) {
    return this.page.locator('.line', { has: this.page.locator(`h2:text-is("${peer}")`) });
  }

  async state(peer) {
    const line = this.line(peer);
    return (await line.count()) > 0 ? line.first().getAttribute('data-state') : 'none';
  }

  async reaches(peer, state, limit) {
    await until(`${this.name}'s call with ${peer} is ${state}`, async () => (await this.state(peer)) === state, limit);
  }

  async lines() {
    return this.page.locator('.line').count();
  }

  async idle(limit) {
    await until(`${this.name} is in no call`, async () => (await this.lines()) === 0, limit);
  }

  async call(number) {
    await this.page.fill('#number', number);
    await this.page.click('#call');
  }

  async click(peer, what) {
    await this.line(peer).locator(`[data-do="${what}"]`).click();
  }

  async answer(peer) {
    await this.reaches(peer, 'incoming');
    await this.click(peer, 'answer');
    await this.reaches(peer, 'talking');
  }

  async said() {
    const alert = this.page.locator('#alert:not([hidden])');
    return (await alert.count()) > 0 ? alert.innerText() : '';
  }

  /** What comes out of the players: loudness and peaks of each line. */
  async heard() {
    return this.page.evaluate(() => window.warmlineEars.hear());
  }

  /** Waits until this tone, and no louder other one, comes out. */
  async hears(hertz, limit = 15_000) {
    let last = 'nothing';
    const there = async () => {
      const heard = await this.heard();
      last = heard.map(({ db, peaks }) => `${db.toFixed(0)} dB, ${peaks.slice(0, 2).map((peak) => `${peak.hertz.toFixed(0)} Hz`).join(' ')}`).join(' | ') || 'no player';
      return heard.find(({ db, peaks: [peak], width }) => db > -50 && peak && Math.abs(peak.hertz - hertz) < 2 * width);
    };
    try {
      return await until(`${this.name} hears ${hertz} Hz`, there, limit);
    } catch (error) {
      throw new Error(`${error.message}; heard: ${last}`);
    }
  }

  /** Something that is none of these tones, and not silence. */
  async hearsMusic(...tones) {
    const music = async () =>
      (await this.heard()).some(({ db, peaks, width }) => db > -55 && !tones.some((tone) => Math.abs(peaks[0].hertz - tone) < 3 * width));
    await until(`${this.name} hears music`, music, 15_000);
  }

  /** Waits until nothing comes out, and nothing for a second after. */
  async hearsNothing(limit = 10_000) {
    const silent = async () => (await this.heard()).every(({ db }) => db < -70);
    await until(`${this.name} hears nothing`, silent, limit);
    for (let at = 0; at < 10; at += 1) {
      await sleep(100);
      if (!(await silent())) throw new Error(`${this.name} hears something: ${JSON.stringify(await this.heard())}`);
    }
  }

  watch(hertz) {
    return this.page.evaluate((tone) => window.warmlineEars.watch(tone), hertz);
  }

  watched() {
    return this.page.evaluate(() => window.warmlineEars.stop());
  }

  async shot(file, folder) {
    fs.mkdirSync(folder, { recursive: true });
    await this.page.screenshot({ path: path.join(folder, file), animations: 'disabled' });
  }

  async gone() {
    await this.context.close();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
