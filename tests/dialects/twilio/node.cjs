// The vendor's Node SDK, re-pointed: calls somebody into a conference, holds it, and ends that.
const twilio = require("twilio");

const [edge, account, token, number, app] = process.argv.slice(2);
const client = twilio(account, token);
client.api.baseUrl = edge;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function main() {
  const created = await client.conferences("node").participants.create({
    from: number, to: "client:agent1", beep: "false", conferenceStatusCallback: `${app}/conference-events`,
  });
  const place = client.conferences(created.conferenceSid).participants(created.callSid);
  for (let tries = 0; (await place.fetch()).status !== "connected"; tries++) {
    if (tries > 100) throw new Error("never connected");
    await pause(100);
  }
  const held = (await place.update({ hold: true })).hold;
  const participants = (await client.conferences(created.conferenceSid).participants.list()).length;
  const missing = await client.calls("CA" + "0".repeat(32)).fetch().then(() => 0, (error) => error.code);
  await pause(2000);
  await client.conferences(created.conferenceSid).update({ status: "completed" });
  console.log(JSON.stringify({ created: created.status, held, missing, participants }));
}

main().catch((error) => { console.log(String(error)); process.exit(1); });
