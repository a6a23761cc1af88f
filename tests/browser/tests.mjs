// What people do on the page, and what the others hear of it.

import { sleep, until } from './people.mjs';

const wire = (edge, person) => `ws://127.0.0.1:${edge.wires[person.name].port}`;

/** Everybody registers, each over a wire of their own. */
export async function registered(edge, ...people) {
  for (const person of people) await person.signIn(wire(edge, person));
  for (const person of people) await person.registered();
}

/** One calls the other; both hear each other. */
export async function talking(one, other) {
  await one.call(other.name);
  await other.answer(one.name);
  await one.reaches(other.name, 'talking');
  await hear(one, other);
}

export async function hear(one, other) {
  await one.hears(other.hertz);
  await other.hears(one.hertz);
}

export async function nothingLeft(edge) {
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

  async 'warm transfer of the caller who was answered'({ edge, alice, bob, carol }) {
    // As above, but the operator called the customer: other sides offer, other sides answer, other roles in DTLS.
    await registered(edge, alice, bob, carol);
    await talking(bob, alice);
    await bob.click('alice', 'hold');
    await bob.reaches('alice', 'held');
    await bob.call('carol');
    await carol.answer('bob');
    await hear(bob, carol);
    await bob.page.click('#join-go');
    await bob.idle();
    await hear(alice, carol);
    // The joined call is a call like any other.
    await alice.page.locator('.line [data-do="hold"]').click();
    await carol.hearsNothing();
    await alice.page.locator('.line [data-do="hold"]').click();
    await hear(alice, carol);
    await alice.page.locator('.line [data-do="end"]').click();
    await carol.idle();
    await nothingLeft(edge);
  },

  async 'two warm transfers of one call'({ edge, alice, bob, carol }) {
    await registered(edge, alice, bob, carol);
    await talking(alice, bob);
    await bob.click('alice', 'hold');
    await bob.reaches('alice', 'held');
    await bob.call('carol');
    await carol.answer('bob');
    await bob.page.click('#join-go');
    await bob.idle();
    await hear(alice, carol);
    // And back: carol asks bob.
    await carol.page.locator('.line [data-do="hold"]').click();
    await alice.hearsNothing();
    await carol.call('bob');
    await bob.answer('carol');
    await hear(bob, carol);
    await carol.page.click('#join-go');
    await carol.idle();
    await hear(alice, bob);
    await bob.page.locator('.line [data-do="end"]').click();
    await alice.idle();
    await nothingLeft(edge);
  },

  async 'warm transfer to one who declines'({ edge, alice, bob, carol }) {
    await registered(edge, alice, bob, carol);
    await talking(alice, bob);
    await bob.click('alice', 'transfer');
    await bob.line('alice').locator('form.transfer input').fill('carol');
    await bob.click('alice', 'ask');
    await carol.reaches('bob', 'incoming');
    await carol.click('bob', 'end');
    await until('bob reads that carol is busy', async () => (await bob.said()).includes('busy'));
    await bob.reaches('alice', 'held');
    await bob.click('alice', 'hold');
    await hear(alice, bob);
    await hangUp(edge, alice, bob);
  },

  async 'blind transfer to nobody'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    await bob.click('alice', 'transfer');
    await bob.line('alice').locator('form.transfer input').fill('zorro');
    await bob.click('alice', 'blind');
    await until('bob reads why not', async () => (await bob.said()).includes('alice is still with you'));
    await bob.reaches('alice', 'talking');
    await hear(alice, bob);
    await hangUp(edge, alice, bob);
  },

  async 'the connection is cut in mid-call and heals'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    await alice.watch(bob.hertz);
    await bob.watch(alice.hertz);
    edge.wires.alice.cut();
    await until('alice reads that she is not connected', () => alice.page.locator('#status[data-state="busy"]').count());
    await sleep(1_500);
    edge.wires.alice.mend();
    await alice.registered();
    // The edge reaches her on the new connection, without a word from her: bob holds, resumes and hangs up.
    await bob.click('alice', 'hold');
    await bob.reaches('alice', 'held');
    const gaps = [await alice.watched(), await bob.watched()].map(({ gap }) => Math.round(gap));
    await alice.hearsNothing();
    await bob.click('alice', 'hold');
    await hear(alice, bob);
    await bob.click('alice', 'end');
    await alice.idle();
    await nothingLeft(edge);
    if (Math.max(...gaps) > 3_000) throw new Error(`audio gaps of ${gaps.join(' and ')} ms`);
    return `audio gaps ${gaps.join(' and ')} ms`;
  },

  async 'the other side hangs up while the connection is cut'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    edge.wires.alice.cut();
    await bob.click('alice', 'end');
    await bob.idle();
    edge.wires.alice.mend();
    await alice.registered();
    await alice.idle();
    await nothingLeft(edge);
  },

  async 'a page is reloaded in mid-call'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    const started = Date.now();
    await alice.page.reload();
    await bob.idle(5_000);
    const told = Date.now() - started;
    // Who was signed in still is, and can be called at once.
    await alice.registered();
    await talking(bob, alice);
    await hangUp(edge, bob, alice);
    return `the other side was told after ${told} ms`;
  },

  async 'a page dies in mid-call'({ edge, alice, bob }) {
    await registered(edge, alice, bob);
    await talking(alice, bob);
    edge.wires.alice.cut();
    await alice.page.close();
    const started = Date.now();
    await bob.idle(50_000);
    const told = Date.now() - started;
    await nothingLeft(edge);
    return `the other side was told after ${(told / 1_000).toFixed(0)} s`;
  },

  async 'two lines of incoming calls'({ edge, alice, bob, carol }) {
    await registered(edge, alice, bob, carol);
    await talking(alice, bob);
    await carol.call('bob');
    await bob.answer('carol');
    await bob.reaches('alice', 'held');
    await hear(bob, carol);
    await alice.hearsNothing();
    // Back to the first, and the second waits.
    await bob.click('alice', 'hold');
    await hear(alice, bob);
    await carol.hearsNothing();
    await bob.click('carol', 'end');
    await carol.idle();
    await hangUp(edge, alice, bob);
  },

  async 'wrong password, nobody there, declined'({ edge, alice, bob }) {
    await alice.signIn(wire(edge, alice), 'not it');
    await until('alice reads that her password is wrong', async () => (await alice.said()).includes('Wrong user or password'));
    await alice.page.fill('#password', 'pw-alice');
    await alice.page.click('#sign-in-go');
    await alice.registered();
    await alice.call('zorro');
    await until('alice reads that nobody has this name', async () => (await alice.said()).includes('Nobody has this name'));
    await alice.call('bob');
    await until('alice reads that bob cannot be reached', async () => (await alice.said()).includes('cannot be reached'));
    await registered(edge, bob);
    await alice.call('bob');
    await bob.reaches('alice', 'incoming');
    await bob.click('alice', 'end');
    await until('alice reads that bob is busy', async () => (await alice.said()).includes('busy'));
    await alice.call('bob');
    await bob.reaches('alice', 'incoming');
    await alice.click('bob', 'end');
    await until('bob reads that he missed a call', async () => (await bob.said()).includes('missed a call of alice'));
    await nothingLeft(edge);
  },

  async 'by keyboard alone'({ edge, alice, bob }) {
    await alice.page.selectOption('#server', wire(edge, alice));
    await alice.page.focus('#user');
    await alice.page.keyboard.press('Control+A');
    await alice.page.keyboard.type('alice');
    await alice.page.keyboard.press('Tab');
    await alice.page.keyboard.type('pw-alice');
    await alice.page.keyboard.press('Enter');
    await alice.registered();
    await registered(edge, bob);
    await bob.call('alice');
    await alice.reaches('bob', 'incoming');
    await alice.page.keyboard.press('Enter');
    await hear(alice, bob);
    await alice.page.keyboard.press('h');
    await alice.reaches('bob', 'held');
    await bob.hearsNothing();
    await alice.page.keyboard.press('h');
    await hear(alice, bob);
    await alice.page.keyboard.press('m');
    await bob.hearsNothing();
    await alice.page.keyboard.press('m');
    await hear(alice, bob);
    await alice.page.keyboard.type('12');
    await until('the keys were sent', async () => (await alice.line('bob').locator('.sent').innerText()) === '12');
    await alice.page.keyboard.press('t');
    await alice.page.keyboard.type('zorro');
    const typed = await alice.line('bob').locator('form.transfer input').inputValue();
    if (typed !== 'zorro') throw new Error(`the transfer field has ${typed}`);
    await alice.page.keyboard.press('Escape');
    await alice.reaches('bob', 'talking');
    await alice.page.keyboard.press('Escape');
    await bob.idle();
    await nothingLeft(edge);
  },

  async 'the page as people see it'({ edge, alice, bob, carol, shots }) {
    await alice.shot('sign-in.png', shots);
    await registered(edge, alice, bob, carol);
    await talking(alice, bob);
    await bob.click('alice', 'transfer');
    await bob.line('alice').locator('form.transfer input').fill('carol');
    await bob.shot('transfer.png', shots);
    await bob.click('alice', 'ask');
    await carol.answer('bob');
    await hear(bob, carol);
    await sleep(300);
    await bob.shot('warm-transfer.png', shots);
    await bob.page.emulateMedia({ colorScheme: 'dark' });
    await bob.page.setViewportSize({ width: 390, height: 844 });
    await bob.shot('phone-dark.png', shots);
    const wide = await bob.page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);
    if (wide) throw new Error('the page is wider than a phone');
    await bob.page.setViewportSize({ width: 960, height: 720 });
    await bob.page.emulateMedia({ colorScheme: 'light' });
    await bob.page.click('#open-settings');
    await until('the settings list a microphone', async () => (await bob.page.locator('#microphone option').count()) > 1);
    await until('the settings show its level', async () => /scaleX\(0\.[3-9]/.test(await bob.page.locator('#mic-level').getAttribute('style')));
    await bob.shot('settings.png', shots);
    await bob.page.keyboard.press('Escape');
    await bob.page.click('#join-go');
    await bob.idle();
    await alice.page.locator('.line [data-do="end"]').click();
    await carol.idle();
    await nothingLeft(edge);
  },
};
