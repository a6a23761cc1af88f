// What people do on the page, and what the others hear of it.

import { sleep, until } from './people.mjs';

const wire = (edge, person) => `ws://127.0.0.1:${edge.wires[person.name].port}`;

/** Everybody registers, each over a wire of their own. */
async function registered(edge, ...people) {
  for (const person of people) await person.signIn(wire(edge, person));
  for (const person of people) await person.registered();
}

/** One calls the other; both hear each other. */
async function talking(one, other) {
  await one.call(other.name);
  await other.answer(one.name);
  await one.reaches(other.name, 'talking');
  await hear(one, other);
}

async function hear(one, other) {
  await one.hears(other.hertz);
  await other.hears(one.hertz);
}

async function nothingLeft(edge) {
  await until('the edge has no call left', async () => (await edge.calls()).length === 0);
}

export const tests = {
  async 'call over ws'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    await alice.click('bob', 'end');
    await bob.idle();
    await alice.idle();
    await nothingLeft(edge);
  },
};
