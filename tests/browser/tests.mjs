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

async function hangUp(edge, one, other) {
  await one.click(other.name, 'end');
  await other.idle();
  await one.idle();
  await nothingLeft(edge);
}

export const tests = {
  async 'call over ws'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    await hangUp(edge, alice, bob);
  },

  async 'call over wss, page from the same listener'({ edge, alice, bob }) {
    for (const person of [alice, bob]) {
      await person.open(`https://127.0.0.1:${edge.wss}/`);
      const url = new URL(person.page.url());
      if (url.pathname !== '/phone/') throw new Error(`the bare address led to ${url}`);
    }
    // The file names wires for the other tests; this page came from elsewhere and is told the same.
    await registered(edge, alice, bob);
    await talking(bob, alice);
    await hangUp(edge, alice, bob);
  },

  async 'hold and resume'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    await alice.click('bob', 'hold');
    await alice.reaches('bob', 'held');
    await bob.hearsNothing();
    await until('bob reads that he is held', async () => (await bob.line('alice').innerText()).includes('on hold'));
    await alice.click('bob', 'hold');
    await alice.reaches('bob', 'talking');
    await hear(alice, bob);
    // The other way round.
    await bob.click('alice', 'hold');
    await bob.reaches('alice', 'held');
    await alice.hearsNothing();
    await bob.click('alice', 'hold');
    await hear(alice, bob);
    await hangUp(edge, bob, alice);
  },

  async 'mute'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    await alice.click('bob', 'mute');
    await bob.hearsNothing();
    await alice.hears(bob.hertz);
    await alice.click('bob', 'mute');
    await hear(alice, bob);
    await hangUp(edge, alice, bob);
  },

  async 'DTMF'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    // Chromium plays a telephone-event (RFC 4733) as the two tones of its key: 852 and 1477 Hz are 9.
    const pressed = alice.page.locator('#pad [data-key="9"]');
    const both = async () => {
      await pressed.click();
      const end = Date.now() + 700;
      while (Date.now() < end) {
        const heard = await bob.heard();
        const near = (hertz) => heard.some(({ peaks, width }) => peaks.some((peak) => Math.abs(peak.hertz - hertz) < 3 * width && peak.db > -60));
        if (near(852) && near(1477)) return true;
      }
      return false;
    };
    await until('bob hears the tones of key 9', both);
    const shown = await alice.line('bob').locator('.sent').innerText();
    if (!/^9+$/.test(shown)) throw new Error(`the line shows ${shown}`);
    await hear(alice, bob);
    await hangUp(edge, alice, bob);
  },

  async 'blind transfer'({ edge, alice, bob, carol }) {
    await registered(edge, alice, bob, carol);
    await talking(alice, bob);
    await bob.click('alice', 'transfer');
    await bob.line('alice').locator('form.transfer input').fill('carol');
    await bob.click('alice', 'blind');
    await carol.reaches('alice', 'incoming').catch(() => {});
    await carol.page.locator('.line [data-do="answer"]').click();
    await bob.idle();
    await hear(alice, carol);
    const [call] = await edge.calls();
    if ((await edge.calls()).length !== 1) throw new Error(`calls at the edge: ${JSON.stringify(call)}`);
    await carol.page.locator('.line [data-do="end"]').click();
    await alice.idle();
    await nothingLeft(edge);
  },

  async 'warm transfer'({ edge, alice, bob, carol, shots }) {
    await registered(edge, alice, bob, carol);
    await talking(alice, bob);
    await bob.click('alice', 'transfer');
    await bob.line('alice').locator('form.transfer input').fill('carol');
    await bob.click('alice', 'ask');
    await bob.reaches('alice', 'held');
    await alice.hearsNothing();
    await carol.answer('bob');
    await bob.reaches('carol', 'talking');
    await hear(bob, carol);
    await alice.hearsNothing();
    await bob.shot('warm-transfer.png', shots);
    await bob.page.click('#join-go');
    await bob.idle();
    await hear(alice, carol);
    await until('bob reads the outcome', async () => (await bob.said()).includes('alice and carol are connected'));
    await carol.page.locator('.line [data-do="end"]').click();
    await alice.idle();
    await nothingLeft(edge);
  },
};
