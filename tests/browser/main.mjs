// Runs the tests one after the other, each on fresh pages, and counts.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Desk } from './desk.mjs';
import { Edge } from './edge.mjs';
import { Person } from './people.mjs';
import { gateway } from './gateway.mjs';
import { sipjs } from './sipjs.mjs';
import { tests as direct } from './tests.mjs';

const offices = { ...gateway, ...sipjs };
const tests = { ...direct, ...offices };
const PEOPLE = { alice: 440, bob: 620, carol: 1130 };

const wanted = process.argv.slice(2);
const flags = wanted.filter((word) => word.startsWith('--'));
const names = wanted.filter((word) => !word.startsWith('--'));
const unknown = [...flags.filter((flag) => !['--list', '--screenshots'].includes(flag)), ...names.filter((name) => !(name in tests))];
if (unknown.length > 0) {
  console.error(`tests/browser/run: no such test or option: ${unknown.join(', ')}; see --help and --list`);
  process.exit(2);
}
if (flags.includes('--list')) {
  console.log(Object.keys(tests).join('\n'));
  process.exit(0);
}

let passed = 0;
let failed = 0;
let retried = 0;
const people = {};
let edge;
let office;
let desk;
const shots = flags.includes('--screenshots') ? fileURLToPath(new URL('../../web/softphone/screenshots', import.meta.url)) : path.resolve('target/browser-screenshots');
try {
  edge = await Edge.start(Object.keys(PEOPLE));
  desk = await Desk.born(1_400);
  // A second one, with an ordinary phone and hold music.
  office = await Edge.start(Object.keys(PEOPLE), { media: 'hold_music = "builtin"', more: desk.config() });
  for (const [name, hertz] of Object.entries(PEOPLE)) people[name] = await Person.born(name, hertz);
  const stage = { edge, office, desk, ...people, shots, readme: flags.includes('--screenshots') };
  for (const [name, test] of Object.entries(tests)) {
    if (names.length > 0 && !names.includes(name)) continue;
    // Three browsers on two shared cores: one failure of a whole run is tried once more, and told; a second one is a failure.
    const spare = retried === 0;
    if (await tried(name, test, stage, spare ? 'again' : 'FAILED')) {
      passed += 1;
    } else if (spare) {
      retried += 1;
      if (await tried(name, test, stage, 'FAILED')) passed += 1;
      else failed += 1;
    } else {
      failed += 1;
    }
  }
} catch (error) {
  failed += 1;
  console.log(`FAILED  setting up: ${error.stack}`);
} finally {
  for (const person of Object.values(people)) await person.gone().catch(() => {});
  await edge?.stop().catch(() => {});
  await office?.stop().catch(() => {});
  desk?.gone();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);

async function tried(name, test, stage, verdict) {
  const started = Date.now();
  const home = name in offices ? office : edge;
  try {
    for (const wire of Object.values(edge.wires)) wire.mend();
    for (const person of Object.values(people)) await person.open(`${home.api}/phone/`);
    const note = await test(stage);
    for (const person of Object.values(people)) {
      if (person.errors.length > 0) throw new Error(`${person.name}'s page complained: ${person.errors.join('; ')}`);
    }
    console.log(`ok      ${name}${note ? `: ${note}` : ''} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    console.log(`${verdict.padEnd(6)}  ${name}: ${error.message} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
    for (const person of Object.values(people)) {
      const said = await person.said().catch(() => '');
      if (said) console.log(`        ${person.name} reads: ${said.replace(/\s+/g, ' ')}`);
      await person.shot(`failed-${name.replace(/\W+/g, '-')}-${person.name}.png`, path.resolve('target/browser-screenshots')).catch(() => {});
    }
    if (process.env.V) {
      console.log(error.stack);
      for (const call of await home.calls()) console.log(JSON.stringify(call, null, 1));
    }
    return false;
  }
}
