// An edge of its own for the tests: its configuration, its process, and wires to it that can be cut.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function binary() {
  const named = process.env.WARMLINE;
  const target = process.env.CARGO_TARGET_DIR ?? path.join(ROOT, 'target');
  const found = [named, path.join(target, 'release/warmline'), path.join(target, 'debug/warmline')].find((file) => file && fs.existsSync(file));
  if (!found) throw new Error('there is no warmline to test: cargo build --release, or set WARMLINE');
  return found;
}

/** A TCP proxy in front of an edge's listener: a network that can fail. */
export class Wire {
  #sockets = new Set();
  #server;
  #down = false;

  static async to(port) {
    const wire = new Wire();
    wire.#server = net.createServer((near) => {
      if (wire.#down) return near.destroy();
      const far = net.connect(port, '127.0.0.1');
      for (const [one, other] of [[near, far], [far, near]]) {
        one.on('error', () => {});
        one.on('close', () => other.destroy());
        one.pipe(other);
        wire.#sockets.add(one);
      }
    });
    await new Promise((resolve) => wire.#server.listen(0, '127.0.0.1', resolve));
    wire.port = wire.#server.address().port;
    return wire;
  }

  /** Breaks what is connected, without a goodbye; nothing connects until `mend`. */
  cut() {
    this.#down = true;
    for (const socket of this.#sockets) socket.resetAndDestroy?.() ?? socket.destroy();
    this.#sockets.clear();
  }

  mend() {
    this.#down = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }
}

export class Edge {
  /** `people` may register; each has a WebSocket wire of its own. */
  static async start(people, { media = '', more = '' } = {}) {
    const edge = new Edge();
    edge.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'warmline-browser-'));
    edge.token = 'only-for-these-tests';
    // The page's servers must be known before the edge starts: wires first, to a port that is free now.
    const ws = await free();
    edge.wires = {};
    for (const name of people) edge.wires[name] = await Wire.to(ws);
    const servers = people.map((name) => `"ws://127.0.0.1:${edge.wires[name].port}"`);
    const users = people.map((name) => `[[user]]\nname = "${name}"\npassword = "pw-${name}"\n`).join('');
    const config = `
[edge]
domain = "example.test"
[[listen]]
transport = "udp"
address = "127.0.0.1:0"
[[listen]]
transport = "ws"
address = "127.0.0.1:${ws}"
[[listen]]
transport = "wss"
address = "127.0.0.1:0"
[tls]
state = "${edge.folder}"
[api]
listen = "127.0.0.1:0"
token = "${edge.token}"
[softphone]
servers = [${servers.join(', ')}]
[media]
browser_port = ${await free()}
${media}
${users}${more}`;
    const file = path.join(edge.folder, 'edge.toml');
    fs.writeFileSync(file, config);
    edge.log = fs.openSync(path.join(edge.folder, 'edge.log'), 'w');
    edge.process = spawn(binary(), ['run', '--config', file], { stdio: ['ignore', 'pipe', edge.log] });
    let greeting = '';
    await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`the edge does not start: ${greeting}${fs.readFileSync(path.join(edge.folder, 'edge.log'))}`)), 20_000);
      edge.process.on('exit', (code) => reject(new Error(`the edge ended with ${code}: ${fs.readFileSync(path.join(edge.folder, 'edge.log'))}`)));
      edge.process.stdout.on('data', (octets) => {
        greeting += octets;
        if (/api +http/.test(greeting)) {
          clearTimeout(late);
          resolve();
        }
      });
    });
    edge.process.removeAllListeners('exit');
    const port = (pattern) => Number(greeting.match(pattern)?.[1]);
    edge.udp = port(/sip +udp 127\.0\.0\.1:(\d+)/);
    edge.wss = port(/sip +wss 127\.0\.0\.1:(\d+)/);
    edge.ws = ws;
    edge.api = `http://127.0.0.1:${port(/api +http:\/\/127\.0\.0\.1:(\d+)/)}`;
    return edge;
  }

  async get(where) {
    const response = await fetch(this.api + where, { headers: { authorization: `Bearer ${this.token}` } });
    if (!response.ok) throw new Error(`${where}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async calls() {
    const calls = await this.get('/v1/calls');
    return calls.calls ?? calls.items ?? calls;
  }

  async stop() {
    for (const wire of Object.values(this.wires)) wire.close();
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    this.process.kill('SIGTERM');
    await ended;
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

async function free() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
