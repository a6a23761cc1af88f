// The vendor's own JavaScript clients, driven by lines of JSON on standard input: {id, op, …} is answered {id, result} or
// {id, error}; what arrives meanwhile is {notification} or {control}.

import { createRequire } from 'node:module';
import path from 'node:path';
import readline from 'node:readline';

const require = createRequire(path.join(process.env.CLIENTS_FROM, 'package.json'));
const { SDK } = require('@ringcentral/sdk');
const { Subscriptions } = require('@ringcentral/subscriptions');
const { RingCentralCallControl } = require('ringcentral-call-control');

const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
let sdk, subscriptions, subscription, control;

// What the call-control SDK makes of a session, in words that a test can compare.
const told = (session) => ({ id: session.id, party: session.party, others: session.otherParties.length });

const operations = {
  async login({ server, clientId, clientSecret, ...credentials }) {
    sdk = new SDK({ server, clientId, clientSecret });
    const answer = await sdk.platform().login(credentials);
    return answer.json();
  },
  async refresh() {
    return (await sdk.platform().refresh()).json();
  },
  async logout() {
    await sdk.platform().logout();
    return {};
  },
  async subscribe({ filters }) {
    subscriptions = new Subscriptions({ sdk });
    subscription = subscriptions.createSubscription();
    subscription.setEventFilters(filters);
    subscription.on(subscription.events.notification, (message) => {
      say({ notification: message });
      control?.onNotificationEvent(message);
    });
    const info = await subscription.register();
    return info.subscriptionInfo;
  },
  async control() {
    control = new RingCentralCallControl({ sdk });
    await control.initialize();
    control.on('new', (session) => say({ control: 'new', session: told(session) }));
    return { extension: control.extensionId, account: control.accountId, devices: control.devices, sessions: control.sessions.map(told) };
  },
  sessions: async () => control.sessions.map(told),
  // A method of the call-control SDK's session.
  async session({ session, method, args = [] }) {
    const found = control.sessionsMap.get(session);
    if (!found) throw new Error(`the SDK knows no session ${session}`);
    return (await found[method](...args)) ?? null;
  },
  // A method of the call-control SDK itself that makes a session.
  async make({ method, args = [] }) {
    const session = await control[method](...args);
    return { ...told(session), voiceCallToken: session.voiceCallToken, origin: session.origin };
  },
  async send({ method, url, body }) {
    const answer = await sdk.platform().send({ method, url, body: body ?? undefined });
    return { status: answer.status, body: answer.status === 204 ? null : await answer.json() };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, op, ...given } = JSON.parse(line);
  // One after the other: what a test asks for second may need what it asked for first.
  try {
    say({ id, result: (await operations[op](given)) ?? null });
  } catch (error) {
    let body = null;
    try {
      body = await error.response?.clone?.().json();
    } catch {
      // no JSON in it
    }
    say({ id, error: { message: String(error.message), status: error.response?.status ?? null, body } });
  }
}
process.exit(0);
