// SIP.js as a second browser client, in the same browsers: with an ordinary phone and with the page, which speaks JsSIP.

import fs from 'node:fs';
import { until } from './people.mjs';
import { hear, nothingLeft, registered } from './tests.mjs';

const BUNDLE = process.env.SIPJS;

/** Runs in the page: one user, whose calls are kept by a name of their own. */
function phone() {
  const { UserAgent, Registerer, Inviter, SessionState, Web } = window.SIP;
  const audio = { constraints: { audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false }, video: false } };
  const calls = {};
  let agent;
  const keep = (name, session) => {
    calls[name] = session;
    session.stateChange.addListener((state) => {
      if (state !== SessionState.Established) return;
      const element = document.body.appendChild(document.createElement('audio'));
      element.dataset.line = name;
      element.autoplay = true;
      element.srcObject = session.sessionDescriptionHandler.remoteMediaStream;
    });
  };
  window.sipjs = {
    async register(server, user, password) {
      agent = new UserAgent({
        uri: UserAgent.makeURI(`sip:${user}@example.test`),
        authorizationUsername: user,
        authorizationPassword: password,
        transportOptions: { server },
        logLevel: 'error',
        sipExtensionReplaces: 'Supported',
        sessionDescriptionHandlerFactory: Web.defaultSessionDescriptionHandlerFactory(),
        sessionDescriptionHandlerFactoryOptions: { iceGatheringTimeout: 500, peerConnectionConfiguration: { iceServers: [] } },
        delegate: { onInvite: (session) => keep(session.remoteIdentity.uri.user, session) },
      });
      await agent.start();
      const registerer = new Registerer(agent, { expires: 120 });
      return new Promise((resolve, reject) => {
        registerer.stateChange.addListener((state) => state === 'Registered' && resolve());
        registerer.register({ requestDelegate: { onReject: ({ message }) => reject(new Error(`${message.statusCode}`)) } });
      });
    },
    async call(name) {
      const session = new Inviter(agent, UserAgent.makeURI(`sip:${name}@example.test`), { sessionDescriptionHandlerOptions: audio });
      keep(name, session);
      await session.invite();
    },
    state: (name) => calls[name]?.state ?? 'none',
    async hold(name, hold) {
      const session = calls[name];
      session.sessionDescriptionHandlerOptionsReInvite = { ...audio, hold };
      return new Promise((resolve, reject) => {
        session.invite({ requestDelegate: { onAccept: resolve, onReject: ({ message }) => reject(new Error(`${message.statusCode}`)) } });
      }).then(() => undefined);
    },
    // Resolves with the outcome that the last NOTIFY tells.
    refer: (name, other) =>
      new Promise((resolve, reject) => {
        calls[name].refer(calls[other] ?? UserAgent.makeURI(`sip:${other}@example.test`), {
          onNotify(notification) {
            notification.accept();
            const [, status] = notification.request.body.match(/^SIP\/2\.0 ([2-6]\d\d)/) ?? [];
            if (status) resolve(status);
          },
          requestDelegate: { onReject: ({ message }) => reject(new Error(`${message.statusCode}`)) },
        });
      }),
    bye: (name) => calls[name].bye().then(() => undefined),
  };
}

/** Signs a person in by SIP.js, on the page that is open but signed out. */
async function signIn(edge, person) {
  await person.page.evaluate(fs.readFileSync(BUNDLE, 'utf8'));
  await person.page.evaluate(phone);
  await person.page.evaluate(([server, user]) => window.sipjs.register(server, user, `pw-${user}`), [`ws://127.0.0.1:${edge.wires[person.name].port}`, person.name]);
}

const does = (person, what, ...words) => person.page.evaluate(([verb, rest]) => window.sipjs[verb](...rest), [what, words]);

const reaches = (person, name, state) => until(`${person.name}'s call with ${name} is ${state}`, async () => (await does(person, 'state', name)) === state);

export const sipjs = {
  async 'SIP.js calls an ordinary phone, holds it and takes it back'({ office, desk, alice }) {
    await signIn(office, alice);
    await does(alice, 'call', '900');
    await reaches(alice, '900', 'Established');
    await hear(alice, desk);
    await does(alice, 'hold', '900', true);
    await desk.hearsMusic(alice.hertz);
    await does(alice, 'hold', '900', false);
    await hear(alice, desk);
    await does(alice, 'bye', '900');
    await until('the desk phone is free', () => !desk.call);
    await nothingLeft(office);
  },

  async 'SIP.js hands an ordinary phone to the page'({ office, desk, alice, bob }) {
    await registered(office, bob);
    await signIn(office, alice);
    await does(alice, 'call', '900');
    await reaches(alice, '900', 'Established');
    await hear(alice, desk);
    const outcome = does(alice, 'refer', '900', 'bob');
    await bob.answer('900');
    if ((await outcome) !== '200') throw new Error(`SIP.js was told ${await outcome}`);
    await hear(bob, desk);
    await reaches(alice, '900', 'Terminated');
    desk.hangUp();
    await bob.idle();
    await nothingLeft(office);
  },

  async 'SIP.js warm-transfers an ordinary phone to the page'({ office, desk, alice, bob }) {
    await registered(office, bob);
    await signIn(office, alice);
    await does(alice, 'call', '900');
    await reaches(alice, '900', 'Established');
    await does(alice, 'hold', '900', true);
    await desk.hearsMusic(alice.hertz);
    await does(alice, 'call', 'bob');
    await bob.answer('alice');
    await hear(alice, bob);
    if ((await does(alice, 'refer', '900', 'bob')) !== '200') throw new Error('the transfer failed');
    await hear(bob, desk);
    await reaches(alice, '900', 'Terminated');
    await reaches(alice, 'bob', 'Terminated');
    desk.hangUp();
    await bob.idle();
    await nothingLeft(office);
  },
};
