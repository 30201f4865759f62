/** Takes the pictures of the README from the demo: run by `make pictures`. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { startBrowser } from '../../web/e2e/house.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const url = 'http://127.0.0.1:8497';
const binary = process.env.OVERHEARD_BIN ?? join(root, 'target/debug/overheard');

/** Waits up to 15 minutes: a program without optimisation takes that long for two weeks of posts. */
async function until(condition, what) {
  for (let second = 0; second < 900; second += 1) {
    const value = await condition();
    if (value) return value;
    await sleep(1_000);
  }
  throw new Error(`timeout: ${what}`);
}

async function startDemo() {
  const folder = await mkdtemp(join(tmpdir(), 'overheard-pictures-'));
  const config = join(folder, 'config.toml');
  await writeFile(config, `[server]\nbind = "${new URL(url).host}"\n`);
  const args = ['demo', '--no-open', '--days', '7', '--config', config, '--data', join(folder, 'data')];
  const child = spawn(binary, args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] });
  let output = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  const password = await until(() => /password\s+(\S+)/.exec(output)?.[1], 'the demo prints a password');
  await until(() => fetch(`${url}/readyz`).then((answer) => answer.ok, () => false), 'the demo is ready');
  const stop = async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  return { password, stop };
}

const call = (page, path, options) =>
  page.evaluate(async ([path, options]) => (await fetch(path, options)).json(), [path, options]);

async function take(browser, password) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, timezoneId: 'UTC', colorScheme: 'light' });
  page.setDefaultTimeout(120_000);
  await page.goto(url);
  const headers = { 'content-type': 'application/json' };
  await call(page, '/api/session', { method: 'POST', headers, body: JSON.stringify({ name: 'admin', password }) });
  await until(async () => {
    const { queue } = await call(page, '/api/system');
    return queue.appended > 500 && queue.waiting + queue.in_flight < 20;
  }, 'the sample is enriched');
  // The incident of the last hours, once it is explained. Pictures show no scripts that this machine may lack fonts for.
  const isLatin = (anomaly) => anomaly.drivers.every(({ value }) => /^[\u0000-\u024f]*$/.test(value));
  const story = await until(async () => {
    const anomalies = await call(page, '/api/anomalies');
    return anomalies.find((anomaly) => anomaly.severity !== 'low' && anomaly.drivers.length > 2 && isLatin(anomaly));
  }, 'an incident is explained');
  const pictures = {
    overview: '/',
    posts: '/posts?language=en',
    anomaly: `/alerts?anomaly=${encodeURIComponent(story.anomaly_id)}`,
  };
  for (const [name, path] of Object.entries(pictures)) {
    await page.goto(url + path);
    await page.locator('#content h1').first().waitFor();
    await page.waitForLoadState('networkidle', { timeout: 5_000 }).catch(() => {});
    await page.waitForTimeout(2_000);
    await page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, import.meta.url)) });
    console.log(`docs/images/${name}.png: ${page.url()}`);
  }
}

const demo = await startDemo();
const browser = await startBrowser();
try {
  await take(browser, demo.password);
} finally {
  await browser.close();
  await demo.stop();
}
