// Tabs and an ordinary phone: the edge stands between ICE and DTLS-SRTP on one side and plain RTP on the other.

import { until } from './people.mjs';
import { hear, nothingLeft, registered, talking } from './tests.mjs';

export const gateway = {
  async 'a tab calls an ordinary phone'({ office, desk, alice }) {
    await registered(office, alice);
    await alice.call('900');
    await alice.reaches('900', 'talking');
    await hear(alice, desk);
    await alice.click('900', 'end');
    await until('the desk phone is free', () => !desk.call);
    await nothingLeft(office);
  },

  async 'an ordinary phone calls a tab'({ office, desk, alice }) {
    await registered(office, alice);
    desk.dial(office, 'alice');
    await alice.answer('desk');
    await hear(alice, desk);
    desk.hangUp();
    await alice.idle();
    await nothingLeft(office);
  },

  async 'hold music on both sides of the gateway'({ office, desk, alice }) {
    await registered(office, alice);
    await alice.call('900');
    await alice.reaches('900', 'talking');
    await hear(alice, desk);
    await alice.click('900', 'hold');
    await alice.reaches('900', 'held');
    await desk.hearsMusic(alice.hertz);
    await alice.click('900', 'hold');
    await hear(alice, desk);
    await desk.hold(true);
    await alice.hearsMusic(desk.hertz);
    await desk.hold(false);
    await hear(alice, desk);
    await alice.click('900', 'end');
    await nothingLeft(office);
  },

  async 'hold music between two tabs'({ office, alice, bob }) {
    await registered(office, alice, bob);
    await talking(alice, bob);
    await alice.click('bob', 'hold');
    await alice.reaches('bob', 'held');
    await bob.hearsMusic(alice.hertz);
    await alice.click('bob', 'hold');
    await hear(alice, bob);
    await alice.click('bob', 'end');
    await bob.idle();
    await nothingLeft(office);
  },

  async 'warm transfer tab, tab, ordinary phone'({ office, desk, alice, bob }) {
    await registered(office, alice, bob);
    await talking(alice, bob);
    await bob.click('alice', 'transfer');
    await bob.line('alice').locator('form.transfer input').fill('900');
    await bob.click('alice', 'ask');
    await alice.hearsMusic(bob.hertz);
    await bob.reaches('900', 'talking');
    await hear(bob, desk);
    await bob.page.click('#join-go');
    await bob.idle();
    await hear(alice, desk);
    await alice.page.locator('.line [data-do="end"]').click();
    await until('the desk phone is free', () => !desk.call);
    await nothingLeft(office);
  },

  async 'warm transfer ordinary phone, tab, tab'({ office, desk, bob, carol }) {
    await registered(office, bob, carol);
    desk.dial(office, 'bob');
    await bob.answer('desk');
    await hear(bob, desk);
    await bob.click('desk', 'transfer');
    await bob.line('desk').locator('form.transfer input').fill('carol');
    await bob.click('desk', 'ask');
    await desk.hearsMusic(bob.hertz);
    await carol.answer('bob');
    await hear(bob, carol);
    await bob.page.click('#join-go');
    await bob.idle();
    await hear(carol, desk);
    desk.hangUp();
    await carol.idle();
    await nothingLeft(office);
  },
};
