/** Starts the real program on the bundled sample in a folder of its own, and a browser beside it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const root = fileURLToPath(new URL('../../', import.meta.url));
const binary = process.env.OVERHEARD_BIN ?? join(root, 'target/debug/overheard');
/** Nothing takes so long but what hangs; a slow machine must not fail a test. */
export const PATIENCE_MS = 180_000;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function startHouse() {
  if (!existsSync(binary)) throw new Error(`${binary} is not there: build it first (make build)`);
  const folder = await mkdtemp(join(tmpdir(), 'overheard-e2e-'));
  const port = await freePort();
  const config = join(folder, 'config.toml');
  await writeFile(config, `[server]\nbind = "127.0.0.1:${port}"\n`);
  // Two days hold the incident that still goes on, and are understood in seconds.
  const child = spawn(
    binary,
    ['demo', '--no-open', '--days', '2', '--config', config, '--data', join(folder, 'data')],
    {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let said = '';
  let logged = '';
  child.stdout.on('data', (chunk) => (said += chunk));
  child.stderr.on('data', (chunk) => (logged += chunk));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`overheard ended with ${child.exitCode}:\n${said}\n${logged}`);
      return /stop\s+Ctrl/.test(said) && (await fetch(`${url}/readyz`).catch(() => undefined))?.ok;
    }, 'the program is ready');
  } catch (error) {
    await stop();
    throw error;
  }
  const signInPath = /dashboard\s+https?:\/\/[^/\s]+(\S+)/.exec(said)[1];
  return { url, signInPath, password: /password\s+(\S+)/.exec(said)[1], stop, log: () => logged };
}

/** Asks again until it holds; says so when it never does. */
export async function until(holds, what) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await holds();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`it never came that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    timeout: PATIENCE_MS,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
