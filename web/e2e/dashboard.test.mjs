/** The dashboard as people use it: a real browser over the real program with the bundled sample. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { startBrowser, startHouse, until } from './house.mjs';

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const PAGES = ['/', '/posts', '/map', '/alerts', '/alerts?tab=alerts', '/alerts?tab=rules', '/topics', '/sql', '/system', '/settings'];

let house, browser, cookies;

before(async () => {
  house = await startHouse();
  browser = await startBrowser();
  const { page, context } = await open('/');
  await signIn(page, 'admin', house.password);
  cookies = await context.cookies();
  // The sample is replayed first; every test wants something to look at.
  await until(
    () => page.evaluate(async () => (await (await fetch('/api/overview')).json()).totals.mentions > 200),
    180_000,
    'more than 200 posts of the sample',
  );
  await context.close();
});

after(async () => {
  await browser?.close();
  await house?.stop();
});

/** A page that notes what must not happen: errors, refused content, calls to elsewhere. */
async function open(path, { viewport = DESKTOP, as = [], colorScheme = 'light' } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, timezoneId: 'Europe/Berlin', bypassCSP: false });
  await context.addCookies(as);
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('401')) wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(house.url) && !/^(data|blob):/.test(request.url())) wrong.push(`call to ${request.url()}`);
  });
  await page.goto(house.url + path);
  return { context, page, wrong };
}

async function signIn(page, name, password) {
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const api = (page, path, init) =>
  page.evaluate(
    async ([path, init]) => {
      const response = await fetch(path, init);
      const text = await response.text();
      return { status: response.status, body: text ? JSON.parse(text) : undefined };
    },
    [path, init && { headers: { 'content-type': 'application/json' }, ...init, body: init.body && JSON.stringify(init.body) }],
  );

test('a stranger sees only the sign-in, and a wrong password stays out', async () => {
  const { context, page } = await open('/posts');
  await signIn(page, 'admin', 'not the password');
  await page.getByRole('alert').getByText('Name or password is wrong.').waitFor();
  assert.equal((await api(page, '/api/overview')).status, 401);
  await signIn(page, 'admin', house.password);
  await page.getByRole('heading', { name: 'Posts', exact: true }).waitFor();
  await context.close();
});

for (const path of PAGES) {
  test(`${path} shows no error, obeys its policy, and has no serious problem of access`, async () => {
    for (const colorScheme of ['light', 'dark']) {
      const { context, page, wrong } = await open(path, { as: cookies, colorScheme });
      await page.locator('main h1').waitFor();
      await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0);
      // Through the protocol, not a script tag: the page's own policy forbids those.
      await page.evaluate(axeSource);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      const serious = violations.filter((one) => ['serious', 'critical'].includes(one.impact));
      assert.deepEqual(
        serious.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`),
        [],
        colorScheme,
      );
      assert.deepEqual(wrong, []);
      await context.close();
    }
  });
}

test('a phone shows every page without scrolling sideways', async () => {
  const { context, page } = await open('/', { viewport: PHONE, as: cookies });
  for (const path of PAGES) {
    await page.goto(house.url + path);
    await page.locator('main h1').waitFor();
    await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(over <= 0, `${path} is ${over} pixels too wide`);
  }
  await context.close();
});

test('a value of a breakdown filters, the address keeps it, and it comes out again', async () => {
  const { context, page } = await open('/?range=14d', { as: cookies });
  const card = page.getByRole('region', { name: 'Languages' });
  await card.getByRole('link').first().click();
  await page.waitForURL(/language=/);
  const language = new URL(page.url()).searchParams.get('language');
  await page.reload();
  await page.getByRole('link', { name: /Remove filter Language/ }).waitFor();
  const filtered = await api(page, `/api/breakdown?by=language&language=${language}`);
  assert.deepEqual(filtered.body[0].parts.map((part) => part.value), [language]);
  await page.getByRole('link', { name: /Remove filter Language/ }).click();
  await page.waitForURL((url) => !url.search.includes('language'));
  await context.close();
});

test('a bar of the chart leads to the posts of that time', async () => {
  const { context, page } = await open('/?range=14d', { as: cookies });
  const canvas = page.locator('.volume canvas');
  await canvas.waitFor();
  const box = await canvas.boundingBox();
  await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
  await page.waitForURL(/\/posts\?from=.*to=/);
  const { searchParams } = new URL(page.url());
  const [from, to] = [Date.parse(searchParams.get('from')), Date.parse(searchParams.get('to'))];
  await page.locator('article').first().waitFor();
  for (const time of await page.locator('article time').evaluateAll((all) => all.map((one) => one.dateTime))) {
    assert.ok(Date.parse(time) >= from && Date.parse(time) < to, `${time} lies outside`);
  }
  await context.close();
});

test('a correction is kept and shown with who made it', async () => {
  const { context, page } = await open('/posts?range=14d', { as: cookies });
  await page.locator('article .time').first().click();
  const detail = page.getByRole('complementary', { name: 'Post' });
  const choices = detail.getByRole('group', { name: 'Correct the sentiment' });
  await choices.getByRole('button', { pressed: false }).first().click();
  await detail.getByRole('heading', { name: 'Corrections' }).waitFor();
  await detail.getByText('admin', { exact: false }).first().waitFor();
  const id = new URL(page.url()).searchParams.get('post');
  const labels = await api(page, '/api/labels');
  assert.ok(labels.body.some((label) => label.post_id === id && label.correction.by === 'admin'));
  await page.reload();
  await page.locator('.list').getByText('corrected').first().waitFor();
  await context.close();
});

test('an alert is acknowledged', async () => {
  const { context, page } = await open('/alerts?tab=alerts&range=30d', { as: cookies });
  const open_ = await until(
    async () => (await api(page, '/api/alerts?state=open&from=2020-01-01T00:00:00Z')).body.find((one) => one.state === 'open'),
    120_000,
    'an open alert of the planted incidents',
  );
  await page.reload();
  const item = page.getByRole('listitem').filter({ hasText: open_.title }).filter({ hasText: 'open' }).first();
  await item.getByRole('button', { name: 'Acknowledge' }).click();
  await until(
    async () =>
      (await api(page, '/api/alerts?from=2020-01-01T00:00:00Z')).body.find((one) => one.alert_id === open_.alert_id)?.state ===
      'acknowledged',
    30_000,
    'the alert is acknowledged',
  );
  await context.close();
});

test('a viewer reads, and is told what is not for him', async () => {
  const admin = await open('/', { as: cookies });
  const user = { name: 'vera', password: 'only for reading', role: 'viewer' };
  assert.equal((await api(admin.page, '/api/users', { method: 'POST', body: user })).status, 201);
  await admin.context.close();
  const { context, page } = await open('/');
  await signIn(page, 'vera', 'only for reading');
  await page.getByRole('region', { name: 'Mentions over time' }).waitFor();
  await page.goto(`${house.url}/sql`);
  await page.getByText('SQL is for analysts').waitFor();
  await page.goto(`${house.url}/settings`);
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Users' }).count(), 0);
  assert.equal((await api(page, '/api/sql', { method: 'POST', body: { sql: 'SELECT 1' } })).status, 403);
  await context.close();
});

test('a topic’s query is checked while it is typed', async () => {
  const { context, page } = await open('/topics?edit=', { as: cookies });
  const form = page.getByRole('form', { name: 'New topic' });
  await form.getByLabel('Query').fill('late AND (flight');
  await form.locator('u').waitFor();
  assert.ok(await form.getByRole('button', { name: 'Save' }).isDisabled());
  await form.getByLabel('Query').fill('late OR delay');
  await form.getByText(/Catches|no posts/).waitFor();
  await form.getByLabel('Name').fill('Lateness');
  await form.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('region', { name: 'Topics' }).getByText('Lateness').waitFor();
  await context.close();
});

test('SQL answers with rows and refuses to write', async () => {
  const { context, page } = await open('/sql', { as: cookies });
  const statement = page.getByLabel('SQL statement');
  await statement.fill('SELECT platform, count(*) AS mentions FROM posts GROUP BY platform');
  await statement.press('Control+Enter');
  await page.getByRole('region', { name: 'Answer' }).getByRole('columnheader', { name: 'mentions' }).waitFor();
  await statement.fill('DELETE FROM posts');
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('alert').getByText(/read-only/).waitFor();
  await context.close();
});

test('the stream brings new posts and holds still while someone reads', async () => {
  const { context, page } = await open('/', { as: cookies });
  const feed = page.getByRole('feed', { name: 'Newest posts' });
  await page.locator('.pulse.live').waitFor();
  await feed.locator('article').first().waitFor();
  await feed.hover();
  const held = await feed.locator('article .words').first().innerText();
  // The sample goes on live; what comes meanwhile waits behind the button.
  await page.locator('.waiting').waitFor({ timeout: 120_000 });
  assert.equal(await feed.locator('article .words').first().innerText(), held);
  await page.locator('.waiting').click();
  await page.locator('.waiting').waitFor({ state: 'detached' });
  await context.close();
});
