// What is remembered: who signs in where, and the devices. A password is kept only where its owner asked for it;
// otherwise it lives as long as the tab, so that a reload does not ask again.

import type { Choice } from "./audio";

export interface Server {
  url: string;
}

/** /phone/config.json, as the edge makes it. */
export interface Config {
  domain: string;
  servers: Server[];
  version: string;
}

export interface Account {
  user: string;
  password: string;
  server: string;
}

const ACCOUNT = "warmline.account";
const CHOICE = "warmline.choice";
const THEME = "warmline.theme";
const INSTANCE = "warmline.instance";

function read<T>(storage: Storage, key: string): Partial<T> {
  try {
    return JSON.parse(storage.getItem(key) ?? "{}") as Partial<T>;
  } catch {
    return {};
  }
}

export async function config(): Promise<Config> {
  const response = await fetch("config.json", { cache: "no-store" });
  if (!response.ok) {
    throw new Error(`${response.status}`);
  }
  return (await response.json()) as Config;
}

export function account(): Partial<Account> & { kept: boolean } {
  const kept = read<Account>(localStorage, ACCOUNT);
  const tab = read<Account>(sessionStorage, ACCOUNT);
  return { ...kept, ...tab, kept: kept.password !== undefined };
}

export function remember(account: Account, keep: boolean): void {
  const { user, server } = account;
  localStorage.setItem(ACCOUNT, JSON.stringify(keep ? account : { user, server }));
  sessionStorage.setItem(ACCOUNT, JSON.stringify(account));
}

/** Signed out: the name stays for the next time, the password does not. */
export function forget(): void {
  const { user, server } = account();
  localStorage.setItem(ACCOUNT, JSON.stringify({ user, server }));
  sessionStorage.removeItem(ACCOUNT);
}

export function choice(): Choice {
  return { microphone: "", speaker: "", processing: true, ...read<Choice>(localStorage, CHOICE) };
}

export function choose(change: Partial<Choice>): void {
  localStorage.setItem(CHOICE, JSON.stringify({ ...choice(), ...change }));
}

export function theme(): string {
  return localStorage.getItem(THEME) ?? "";
}

export function paint(theme: string): void {
  localStorage.setItem(THEME, theme);
  if (theme) {
    document.documentElement.dataset.theme = theme;
  } else {
    delete document.documentElement.dataset.theme;
  }
}

/** RFC 5626 §4.1: names this phone over its registrations. A tab is a phone: two tabs do not take over each other. */
export function instance(): string {
  const known = sessionStorage.getItem(INSTANCE);
  if (known) {
    return known;
  }
  const made = crypto.randomUUID();
  sessionStorage.setItem(INSTANCE, made);
  return made;
}
