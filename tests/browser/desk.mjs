// An ordinary desk phone: SIP over UDP, G.711, no ICE, no keys. It answers at once, plays a tone, and says what it hears.

import dgram from 'node:dgram';
import { until } from './people.mjs';

const HOST = '127.0.0.2';
const RATE = 8_000;
const FRAME = 160;

function encode(sample) {
  const sign = sample < 0 ? 0x80 : 0;
  let rest = Math.min(32_635, Math.abs(sample)) + 132;
  let exponent = 7;
  for (let mask = 0x4000; exponent > 0 && !(rest & mask); mask >>= 1) exponent -= 1;
  return ~(sign | (exponent << 4) | ((rest >> (exponent + 3)) & 0x0f)) & 0xff;
}

function decode(octet) {
  const value = ~octet & 0xff;
  const magnitude = ((((value & 0x0f) << 3) + 132) << ((value >> 4) & 7)) - 132;
  return value & 0x80 ? -magnitude : magnitude;
}

const bind = (socket) => new Promise((resolve) => socket.bind(0, HOST, resolve));

export class Desk {
  static async born(hertz) {
    const desk = new Desk();
    Object.assign(desk, { name: 'desk', hertz, heard: [], log: [], serial: 0, direction: 'sendrecv', call: null, sequence: 0, at: 0 });
    desk.sip = dgram.createSocket('udp4');
    desk.rtp = dgram.createSocket('udp4');
    await bind(desk.sip);
    await bind(desk.rtp);
    desk.port = desk.sip.address().port;
    desk.sip.on('message', (octets, from) => desk.#message(octets.toString('latin1'), from));
    desk.rtp.on('message', (octets) => desk.#packet(octets));
    desk.timer = setInterval(() => desk.#speak(), 20);
    return desk;
  }

  /** What an edge must know of it: dialled as 900, and trusted by its address. */
  config() {
    return `
[[peer]]
name = "desk"
match = ["${HOST}/32"]
auth = "none"
[[route]]
match = "^900$"
to = "sip:${HOST}:${this.port}"
`;
  }

  #description(direction) {
    this.said = direction;
    this.version = (this.version ?? 0) + 1;
    const { port } = this.rtp.address();
    return `v=0\r\no=desk 1 ${this.version} IN IP4 ${HOST}\r\ns=-\r\nc=IN IP4 ${HOST}\r\nt=0 0\r\nm=audio ${port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=${direction}\r\n`;
  }

  #learn(sdp) {
    if (/RTP\/S|UDP\/TLS|a=ice-|a=fingerprint|a=crypto/.test(sdp)) this.log.push(`not for an ordinary phone: ${sdp}`);
    const port = Number(sdp.match(/^m=audio (\d+)/m)?.[1]);
    const host = sdp.match(/^c=IN IP4 (\S+)/m)?.[1];
    this.remote = port && host ? { host, port } : null;
    this.theirs = sdp.match(/^a=(sendrecv|sendonly|recvonly|inactive)/m)?.[1] ?? 'sendrecv';
  }

  #mirror() {
    return { sendrecv: 'sendrecv', sendonly: 'recvonly', recvonly: 'sendonly', inactive: 'inactive' }[this.theirs];
  }

  #send(text) {
    this.sip.send(Buffer.from(text, 'latin1'), this.edge.port, this.edge.address);
  }

  #message(text, from) {
    const [head, body = ''] = text.split('\r\n\r\n', 2);
    if (!head.trim()) return;
    this.edge = from;
    const lines = head.split('\r\n');
    const all = (name) => lines.filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim());
    const one = (name) => all(name)[0] ?? '';
    if (lines[0].startsWith('SIP/2.0')) return this.#response(Number(lines[0].split(' ')[1]), one, body);
    const method = lines[0].split(' ')[0];
    if (method === 'ACK') {
      if (body) this.#learn(body);
      return;
    }
    const respond = (status, sdp = '') => {
      const to = /;tag=/.test(one('to')) ? one('to') : `${one('to')};tag=desk${this.port}`;
      const type = sdp ? 'Content-Type: application/sdp\r\n' : '';
      this.#send(`SIP/2.0 ${status}\r\n${all('via').map((via) => `Via: ${via}\r\n`).join('')}From: ${one('from')}\r\nTo: ${to}\r\nCall-ID: ${one('call-id')}\r\nCSeq: ${one('cseq')}\r\nContact: <sip:desk@${HOST}:${this.port}>\r\n${type}Content-Length: ${sdp.length}\r\n\r\n${sdp}`);
      return to;
    };
    if (method === 'INVITE') {
      if (body) this.#learn(body);
      const to = respond('200 OK', this.#description(body ? this.#mirror() : 'sendrecv'));
      if (!this.call || this.call.id !== one('call-id')) {
        this.call = { id: one('call-id'), local: to, remote: one('from'), target: one('contact').match(/<([^>]+)>/)?.[1], cseq: 100, answered: true };
      }
    } else {
      respond('200 OK');
      if (method === 'BYE') {
        this.call = null;
        this.remote = null;
      }
    }
  }

  #response(status, one, body) {
    if (status < 200 || !/INVITE/.test(one('cseq')) || !this.call) return;
    this.call.remote = one('to');
    this.call.target = one('contact').match(/<([^>]+)>/)?.[1] ?? this.call.target;
    const cseq = parseInt(one('cseq'), 10);
    this.#request('ACK', cseq, '', status >= 300 ? this.call.branch : undefined);
    if (status < 300) {
      if (body) this.#learn(body);
      this.call.answered = true;
    }
    this.call.status = status;
  }

  #request(method, cseq, sdp = '', branch = `z9hG4bK${this.port}x${(this.serial += 1)}`) {
    const { call } = this;
    if (method === 'INVITE') call.branch = branch;
    const type = sdp ? 'Content-Type: application/sdp\r\n' : '';
    this.#send(`${method} ${call.target} SIP/2.0\r\nVia: SIP/2.0/UDP ${HOST}:${this.port};branch=${branch}\r\nMax-Forwards: 70\r\nFrom: ${call.local}\r\nTo: ${call.remote}\r\nCall-ID: ${call.id}\r\nCSeq: ${cseq} ${method}\r\nContact: <sip:desk@${HOST}:${this.port}>\r\n${type}Content-Length: ${sdp.length}\r\n\r\n${sdp}`);
  }

  /** Calls a user of an edge. */
  dial(edge, user) {
    this.edge = { address: '127.0.0.1', port: edge.udp };
    const target = `sip:${user}@example.test`;
    this.call = { id: `desk${Date.now()}`, local: `<sip:desk@${HOST}>;tag=d${Date.now()}`, remote: `<${target}>`, target, cseq: 1 };
    this.#request('INVITE', 1, this.#description('sendrecv'));
  }

  /** Holds the other side, or takes it back. */
  async hold(hold) {
    this.call.status = 0;
    this.#request('INVITE', (this.call.cseq += 1), this.#description(hold ? 'sendonly' : 'sendrecv'));
    await until('the desk phone has its answer', () => this.call?.status);
    if (this.call.status !== 200) throw new Error(`the desk phone's hold got ${this.call.status}`);
    this.quiet = hold;
  }

  hangUp() {
    this.#request('BYE', (this.call.cseq += 1));
    this.call = null;
    this.remote = null;
  }

  #speak() {
    const header = Buffer.alloc(12 + FRAME);
    header.writeUInt8(0x80, 0);
    header.writeUInt16BE((this.sequence = (this.sequence + 1) & 0xffff), 2);
    header.writeUInt32BE(this.at >>> 0, 4);
    header.writeUInt32BE(this.port, 8);
    for (let n = 0; n < FRAME; n += 1) header[12 + n] = encode(Math.round(9_000 * Math.sin((2 * Math.PI * this.hertz * (this.at + n)) / RATE)));
    this.at += FRAME;
    if (this.remote && !this.quiet && ['sendrecv', 'sendonly'].includes(this.said)) this.rtp.send(header, this.remote.port, this.remote.host);
  }

  #packet(octets) {
    if ((octets[1] & 0x7f) !== 0 || octets.length < 13) return;
    for (const octet of octets.subarray(12)) this.heard.push(decode(octet));
    this.heard.splice(0, this.heard.length - RATE / 2);
    this.last = Date.now();
  }

  /** The share of the energy that is at this frequency, and the loudness in dB below full scale, of the last half second. */
  #measure(hertz) {
    if (!this.last || Date.now() - this.last > 300 || this.heard.length < RATE / 4) return { share: 0, db: -200 };
    let [real, imaginary, energy] = [0, 0, 0];
    this.heard.forEach((sample, n) => {
      real += sample * Math.cos((2 * Math.PI * hertz * n) / RATE);
      imaginary += sample * Math.sin((2 * Math.PI * hertz * n) / RATE);
      energy += sample * sample;
    });
    const count = this.heard.length;
    return { share: energy ? (2 * (real ** 2 + imaginary ** 2)) / (count * energy) : 0, db: energy ? 10 * Math.log10(energy / count / 32_768 ** 2) : -200 };
  }

  async hears(hertz) {
    let last;
    const there = () => (last = this.#measure(hertz)).share > 0.7 && last.db > -50;
    await until(`the desk phone hears ${hertz} Hz`, there, 15_000).catch((error) => {
      throw new Error(`${error.message}; share ${last.share.toFixed(2)}, ${last.db.toFixed(0)} dB`);
    });
    if (this.log.length > 0) throw new Error(this.log[0]);
  }

  /** Something that is none of these tones. */
  async hearsMusic(...tones) {
    await until('the desk phone hears music', () => tones.every((tone) => this.#measure(tone).share < 0.3) && this.#measure(0).db > -55, 15_000);
  }

  gone() {
    clearInterval(this.timer);
    this.sip.close();
    this.rtp.close();
  }
}
