/** The dashboard as people use it: a real browser over the real program with the bundled sample. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import { PATIENCE_MS, startBrowser, startHouse, until } from './house.mjs';

const axeSource = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const DESKTOP = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };
const PAGES = [
  '/',
  '/posts',
  '/map',
  '/alerts',
  '/alerts?tab=alerts',
  '/alerts?tab=rules',
  '/topics',
  '/sources',
  '/sources?edit=',
  '/sql',
  '/system',
  '/settings',
];
const HOSTILE = '<img src=x onerror="window.taken=1"> <script>window.taken=1</script> & javascript:alert(1)';

let house, browser, cookies, pushToken;

before(async () => {
  house = await startHouse();
  browser = await startBrowser();
  const { page, context } = await open('/');
  await signIn(page, 'admin', house.password);
  await page.locator('#content h1').waitFor();
  cookies = await context.cookies();
  const scope = { for: 'push', source: 'push:e2e' };
  pushToken = (await api(page, '/api/tokens', { method: 'POST', body: { name: 'e2e', scope } })).body.secret;
  // Opens an alert whatever the detector thinks of two days.
  const condition = { when: 'threshold', mentions_min: 1, window_s: 86_400 };
  const rule = { topic: null, condition, channels: [], cooldown_s: 0, quiet_hours: null, enabled: true };
  assert.equal((await api(page, '/api/rules/Anything', { method: 'PUT', body: rule })).status, 204);
  // Every test wants something to look at: the sample's history is loaded first.
  await until(async () => {
    const { body: system } = await api(page, '/api/system');
    return system.queue.appended > 500 && (await api(page, '/api/backfills')).body.length === 0;
  }, 'the sample is loaded');
  await context.close();
});

after(async () => {
  await browser?.close();
  await house?.stop();
});

/** A page that notes what must not happen: errors, refused content, calls to elsewhere. */
async function open(path, { viewport = DESKTOP, as = [] } = {}) {
  const context = await browser.newContext({ viewport, timezoneId: 'Europe/Berlin', bypassCSP: false });
  context.setDefaultTimeout(PATIENCE_MS);
  await context.addCookies(as);
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('401')) wrong.push(message.text());
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(house.url) && !/^(data|blob):/.test(request.url()))
      wrong.push(`call to ${request.url()}`);
  });
  await page.goto(house.url + path);
  return { context, page, wrong };
}

async function signIn(page, name, password) {
  await page.getByLabel('User name').fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

const settled = (page) =>
  page
    .locator('#content h1')
    .waitFor()
    .then(() => page.waitForFunction(() => document.querySelectorAll('.skeleton, [aria-busy="true"]').length === 0));

const api = (page, path, init) =>
  page.evaluate(
    async ([path, init]) => {
      const response = await fetch(path, init);
      const text = await response.text();
      return {
        status: response.status,
        body: text && response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text,
      };
    },
    [
      path,
      init && {
        headers: { 'content-type': 'application/json' },
        ...init,
        body: init.body && JSON.stringify(init.body),
      },
    ],
  );

async function push(...texts) {
  const posts = texts.map((text) => ({
    id: crypto.randomUUID(),
    text,
    created_at: new Date().toISOString(),
    username: 'e2e',
  }));
  const headers = { authorization: `Bearer ${pushToken}`, 'content-type': 'application/json' };
  const answer = await (
    await fetch(`${house.url}/v1/posts`, { method: 'POST', headers, body: JSON.stringify(posts) })
  ).json();
  assert.deepEqual(
    answer.items.map((one) => one.status),
    texts.map(() => 'accepted'),
  );
  return answer.items.map((one) => one.post_id);
}

const sql = async (page, statement) =>
  (await api(page, '/api/sql', { method: 'POST', body: { sql: statement } })).body.rows;
const rowOf = async (page, id) =>
  (await sql(page, `SELECT sentiment, category, text FROM sentiment WHERE post_id = '${id}'`))[0];

test('the link that the demo prints signs in once, and leaves no trace in the address', async () => {
  const { context, page } = await open(house.signInPath);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  assert.equal(page.url(), `${house.url}/`);
  await context.close();
  const again = await open(house.signInPath);
  await again.page.getByRole('alert').getByText('expired or was used').waitFor();
  assert.equal((await api(again.page, '/api/overview')).status, 401);
  await again.context.close();
});

test('a click on a post opens it, and keys move between posts', async () => {
  const { context, page } = await open('/posts?range=7d', { as: cookies });
  await page.locator('article .words').nth(1).click();
  const opened = () => new URL(page.url()).searchParams.get('post');
  const ids = await page.locator('article[data-post]').evaluateAll((all) => all.map((one) => one.dataset.post));
  assert.equal(opened(), ids[1]);
  await page.keyboard.press('j');
  await until(() => opened() === ids[2], 'j opens the next post');
  await page.keyboard.press('k');
  await until(() => opened() === ids[1], 'k opens the one before');
  await page.keyboard.press('Escape');
  await until(() => opened() === null, 'Escape closes the post');
  await page.keyboard.press('k');
  await page.keyboard.press('Enter');
  await until(() => opened() === ids[0], 'Enter opens the selected post');
  await page.keyboard.press('/');
  await page.keyboard.type('j?');
  assert.equal(await page.getByLabel('Search posts').inputValue(), 'j?', 'keys that are typed stay text');
  await page.getByLabel('Search posts').blur();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor();
  await context.close();
});

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
  test(`${path} shows no error, obeys its policy, and has no accessibility problem`, async (t) => {
    const { context, page, wrong } = await open(path, { as: cookies });
    await settled(page);
    const paint = await page.evaluate(() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime);
    t.diagnostic(`first contentful paint after ${Math.round(paint)} ms`);
    // Through the protocol, not a script tag: the page's own policy forbids those.
    await page.evaluate(axeSource);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }));
      const serious = violations.filter((one) => ['moderate', 'serious', 'critical'].includes(one.impact));
      const told = serious.map((one) => `${one.id}: ${one.nodes.map((node) => node.target.join(' ')).join(', ')}`);
      assert.deepEqual(told, [], colorScheme);
    }
    assert.deepEqual(wrong, []);
    await context.close();
  });
}

test('a phone shows every page without scrolling sideways', async () => {
  const { context, page } = await open('/', { viewport: PHONE, as: cookies });
  for (const path of PAGES) {
    await page.goto(house.url + path);
    await settled(page);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(over <= 0, `${path} is ${over} pixels too wide`);
  }
  await context.close();
});

test('a phone shows the whole error of a source', async () => {
  const { context, page } = await open('/', { viewport: PHONE, as: cookies });
  const error = `the server answered 403 for https://example.org/${'feed'.repeat(40)} and the source waits until it is let in`;
  const source = {
    id: 'news',
    connector: 'feed',
    state: 'failed',
    posts: 12,
    posts_per_minute: 0.5,
    last_error: error,
  };
  await page.route('**/api/sources', (route) => route.fulfill({ json: [source] }));
  await page.goto(`${house.url}/sources`);
  const told = page.getByText('the server answered 403');
  await told.waitFor();
  const cut = await told.evaluate((told) => {
    const { left, right } = told.getBoundingClientRect();
    const box = told.closest('.scroll-x');
    return left < 0 || right > window.innerWidth || box.scrollWidth > box.clientWidth;
  });
  assert.equal(cut, false, 'the error is cut');
  await context.close();
});

test('without a topic the page of anomalies says what is missing', async () => {
  const { context, page } = await open('/', { as: cookies });
  await page.route('**/api/anomalies*', (route) => route.fulfill({ json: [] }));
  await page.route('**/api/topics', (route) => route.fulfill({ json: [] }));
  await page.goto(`${house.url}/alerts`);
  await page.getByText('No topics to monitor yet').waitFor();
  assert.equal(await page.getByText('Volumes were within').count(), 0);
  await context.close();
});

test('the form for a new password names its fields', async () => {
  const { context, page } = await open('/settings', { as: cookies });
  await page.getByLabel('Current password').waitFor();
  await page.getByLabel('New password (at least 12 characters)').waitFor();
  await context.close();
});

test('a value of a breakdown filters, the address keeps it, and it comes out again', async () => {
  const { context, page } = await open('/?range=7d', { as: cookies });
  const card = page.getByRole('region', { name: 'Languages' });
  await card.getByRole('link').first().click();
  await page.waitForURL(/language=/);
  const language = new URL(page.url()).searchParams.get('language');
  await page.reload();
  await page.getByRole('link', { name: /Remove filter Language/ }).waitFor();
  const filtered = await api(page, `/api/breakdown?by=language&language=${language}`);
  assert.deepEqual(
    filtered.body[0].parts.map((part) => part.value),
    [language],
  );
  await page.getByRole('link', { name: /Remove filter Language/ }).click();
  await page.waitForURL((url) => !url.search.includes('language'));
  await context.close();
});

test('a bar of the chart leads to the posts of that time', async () => {
  const { context, page } = await open('/?range=2d', { as: cookies });
  const canvas = page.locator('.volume canvas').first();
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

test('a keyboard opens a popover, Escape closes it and gives the focus back', async () => {
  const { context, page } = await open('/', { as: cookies });
  await settled(page);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
  const opener = page.getByRole('button', { name: 'Add a filter' });
  await opener.focus();
  await page.keyboard.press('Enter');
  const panel = page.getByRole('dialog', { name: 'Add a filter' });
  await panel.waitFor();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Escape');
  await panel.waitFor({ state: 'detached' });
  assert.equal(await opener.evaluate((element) => element === document.activeElement), true);
  await context.close();
});

test('a correction is kept, shown with who made it, and counted', async () => {
  const { context, page } = await open('/posts?range=7d', { as: cookies });
  await page.locator('article .time').first().click();
  const detail = page.getByRole('complementary', { name: 'Post' });
  const choices = detail.getByRole('group', { name: 'Correct the sentiment' });
  const choice = choices.getByRole('button', { pressed: false }).first();
  const wanted = (await choice.innerText()).trim().toLowerCase();
  const id = new URL(page.url()).searchParams.get('post');
  const [before] = await rowOf(page, id);
  assert.notEqual(before, wanted);
  await choice.click();
  await detail.getByRole('heading', { name: 'Corrections' }).waitFor();
  await detail.getByText('admin', { exact: false }).first().waitFor();
  const labels = await api(page, '/api/labels');
  assert.ok(labels.body.some((label) => label.post_id === id && label.correction.by === 'admin'));
  await until(async () => (await rowOf(page, id))[0] === wanted, 'the lake tells the corrected sentiment');
  await page.reload();
  await page.locator('.list').getByText('corrected').first().waitFor();
  // Taken back, the model's word holds again.
  await choices.getByRole('button', { name: before }).click();
  await until(async () => (await rowOf(page, id))[0] === before, 'the lake tells again what the model said');
  assert.equal(
    (await api(page, '/api/labels')).body.some((label) => label.post_id === id),
    false,
  );
  await context.close();
});

test('an alert is acknowledged', async () => {
  const { context, page } = await open('/alerts?tab=alerts&range=30d', { as: cookies });
  const alerts = async () => (await api(page, '/api/alerts?from=2020-01-01T00:00:00Z')).body;
  const opened = await until(
    async () => (await alerts()).find((one) => one.state === 'open'),
    'the rule opens an alert',
  );
  await page.reload();
  const item = page.getByRole('listitem').filter({ hasText: opened.title }).filter({ hasText: 'open' }).first();
  await item.getByRole('button', { name: 'Acknowledge' }).click();
  await until(
    async () => (await alerts()).find((one) => one.alert_id === opened.alert_id)?.state === 'acknowledged',
    'the alert is acknowledged',
  );
  await item.getByText('acknowledged').waitFor();
  await context.close();
});

test('a rule is tried on history before it is saved', async () => {
  const { context, page } = await open('/alerts?tab=rules', { as: cookies });
  await page.getByRole('button', { name: 'New rule' }).click();
  const form = page.getByRole('form', { name: 'Rule' });
  await form.getByLabel('Trigger').selectOption('threshold');
  await form.getByLabel('Minimum mentions').fill('40');
  await form.getByRole('button', { name: /Test on/ }).click();
  await form.getByText(/^\d+ alerts?/).waitFor();
  await form.getByLabel('Minimum mentions').fill('1000000');
  await form.getByRole('button', { name: /Test on/ }).click();
  await form.getByText('No alerts').waitFor();
  await form.getByLabel('Name').fill('Crowds');
  await form.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('region', { name: 'Rules' }).getByText('Crowds').waitFor();
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
  await page.goto(`${house.url}/posts?range=7d`);
  await page.locator('article .time').first().click();
  await page.getByRole('complementary', { name: 'Post' }).getByRole('heading', { name: 'Sentiment' }).waitFor();
  assert.equal(await page.getByRole('group', { name: 'Correct the sentiment' }).count(), 0);
  await page.goto(`${house.url}/sql`);
  await page.getByText('SQL requires the analyst role').waitFor();
  await page.goto(`${house.url}/settings`);
  await page.getByRole('heading', { name: 'Settings' }).waitFor();
  assert.equal(await page.getByRole('heading', { name: 'Users' }).count(), 0);
  const { post_id } = (await api(page, '/api/posts?limit=1')).body.posts[0];
  for (const [method, path, body] of [
    ['POST', '/api/sql', { sql: 'SELECT 1' }],
    ['POST', '/api/labels', { post_id, sentiment: 'negative' }],
    ['PUT', '/api/topics/x', { query: 'x' }],
    ['PUT', '/api/categories', []],
    ['GET', '/api/users'],
    ['GET', '/api/dead-letters'],
  ]) {
    assert.equal((await api(page, path, { method, body })).status, 403, `${method} ${path}`);
  }
  await context.close();
});

test('a topic’s query is checked while it is typed', async () => {
  const { context, page } = await open('/topics?edit=', { as: cookies });
  const form = page.getByRole('form', { name: 'New topic' });
  await form.getByLabel('Query').fill('late AND (flight');
  await form.locator('u').waitFor();
  assert.ok(await form.getByRole('button', { name: 'Save' }).isDisabled());
  await form.getByLabel('Query').fill('late OR delay');
  await form.getByText(/Matches|no posts/).waitFor();
  await form.getByLabel('Name').fill('Lateness');
  await form.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('region', { name: 'Topics' }).getByText('Lateness').waitFor();
  await context.close();
});

test('a feed is tried, added, paused and removed', async () => {
  const item = '<item><guid>urn:e2e:feed:1</guid><title>The new timetable is a mess</title></item>';
  const feed = `<rss version="2.0"><channel><title>News</title>${item}</channel></rss>`;
  const head = '<link rel="alternate" type="application/rss+xml" href="/feed">';
  const site = createServer((request, response) =>
    response.end(request.url === '/feed' ? feed : `<html><head>${head}</head></html>`),
  );
  await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
  const { context, page } = await open('/sources', { as: cookies });
  await page.getByRole('link', { name: 'Add source' }).first().click();
  const form = page.getByRole('form', { name: 'New source' });
  await form.getByRole('textbox', { name: /^URLs/ }).fill(`http://127.0.0.1:${site.address().port}/`);
  await form.getByRole('button', { name: 'Test' }).click();
  await form.getByText('The new timetable is a mess').waitFor();
  await form.getByRole('textbox', { name: /^Name/ }).fill('timetable');
  await form.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('row', { name: /timetable/ });
  await row.getByText('connected').waitFor();
  await until(async () => {
    const { body } = await api(page, '/api/posts?source=timetable&limit=5');
    return body.posts.some((post) => post.text.includes('timetable'));
  }, 'its post is on the page');
  await row.getByRole('button', { name: 'Pause' }).click();
  await row.getByText('paused').waitFor();
  page.on('dialog', (dialog) => dialog.accept());
  await row.getByRole('button', { name: 'Remove timetable' }).click();
  await row.waitFor({ state: 'detached' });
  await context.close();
  site.close();
});

test('categories saved on the page tell apart what arrives from then on', async () => {
  const { context, page } = await open('/topics', { as: cookies });
  const card = page.getByRole('region', { name: 'Categories' });
  await card.getByText('From the categories file').waitFor();
  const categories = [
    { name: 'thunderstorm', description: 'A storm with thunder, lightning, hail and heavy rain.' },
    { name: 'birthday cake', description: 'A sweet birthday cake with candles and chocolate.' },
  ];
  assert.equal(
    (await api(page, '/api/categories', { method: 'PUT', body: categories.slice(1) })).body.field,
    'categories',
  );
  assert.equal((await api(page, '/api/categories', { method: 'PUT', body: categories })).status, 204);
  await page.reload();
  await card.getByText('Saved here').waitFor();
  await until(async () => {
    const [id] = await push('Chocolate birthday cake with candles for my daughter, so sweet!');
    const row = await until(() => rowOf(page, id), 'the post arrives');
    return row[1] === 'birthday cake';
  }, 'the program uses the categories of the page');
  await card.getByRole('button', { name: 'Edit' }).click();
  await card.getByRole('button', { name: 'Use the categories file' }).click();
  await card.getByText('From the categories file').waitFor();
  await context.close();
});

test('SQL answers with rows, keeps queries, is shared by its link, and refuses to write', async () => {
  const { context, page } = await open('/sql', { as: cookies });
  const statement = page.getByLabel('SQL statement');
  await statement.fill('SELECT platform, count(*) AS mentions FROM posts GROUP BY platform');
  await statement.press('Control+Enter');
  const answer = page.getByRole('region', { name: 'Result' });
  await answer.getByRole('columnheader', { name: 'mentions' }).waitFor();
  await page.getByLabel('Query name').fill('By platform');
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByRole('button', { name: 'By platform', exact: true }).waitFor();
  const shared = await context.newPage();
  await shared.goto(page.url());
  await shared.waitForFunction(() => document.querySelector('textarea')?.value.startsWith('SELECT platform'));
  await statement.fill('DELETE FROM posts');
  await page.getByRole('button', { name: 'Run' }).click();
  await page
    .getByRole('alert')
    .getByText(/read-only/)
    .waitFor();
  await context.close();
});

test('what a post says never becomes markup', async () => {
  const [id] = await push(HOSTILE);
  const { context, page, wrong } = await open('/', { as: cookies });
  await until(() => rowOf(page, id), 'the post arrives');
  for (const path of ['/', `/posts?q=onerror&post=${encodeURIComponent(id)}`, '/map']) {
    await page.goto(house.url + path);
    await settled(page);
    assert.equal(await page.locator('main img, main script').count(), 0);
  }
  await page.goto(`${house.url}/posts?q=onerror`);
  assert.equal(await page.locator('article .text').first().innerText(), HOSTILE);
  await page.goto(`${house.url}/sql?sql=${encodeURIComponent(`SELECT text FROM posts WHERE post_id = '${id}'`)}`);
  await page.getByRole('button', { name: 'Run' }).click();
  await page.getByRole('cell', { name: 'onerror' }).waitFor();
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.equal(await page.evaluate(() => window.taken), undefined);
  assert.deepEqual(wrong, []);
  await context.close();
});

test('the server refuses what it should, and says what is wrong', async () => {
  const { context, page } = await open('/', { as: cookies });
  for (const [path, field] of [
    ['/api/overview?sentiment=angry', 'sentiment'],
    ['/api/posts?colour=red', 'colour'],
    ['/api/overview?from=yesterday', 'from'],
    ['/api/posts/export?format=pdf', 'format'],
  ]) {
    const { status, body } = await api(page, path);
    assert.deepEqual([status, body.field], [400, field], path);
  }
  const cookie = cookies.map((one) => `${one.name}=${one.value}`).join('; ');
  const write = (headers, body) =>
    fetch(`${house.url}/api/sql`, {
      method: 'POST',
      headers: { cookie, 'content-type': 'application/json', ...headers },
      body,
    });
  const select = JSON.stringify({ sql: 'SELECT 1' });
  assert.equal((await write({ origin: 'https://elsewhere.example' }, select)).status, 403);
  assert.equal((await write({ origin: house.url }, select)).status, 200);
  assert.equal((await write({ origin: house.url }, JSON.stringify({ sql: ' '.repeat(400_000) }))).status, 413);
  const answer = await write({ origin: house.url }, JSON.stringify({ sql: 'SELECT a.post_id FROM posts a, posts b' }));
  const cut = await answer.json();
  assert.ok(cut.truncated || answer.status === 400, JSON.stringify(cut).slice(0, 200));
  await context.close();
});

test('posts are exported as CSV, JSON lines and Parquet', async () => {
  const cookie = cookies.map((one) => `${one.name}=${one.value}`).join('; ');
  const file = async (format) => {
    const answer = await fetch(`${house.url}/api/posts/export?format=${format}`, { headers: { cookie } });
    assert.equal(answer.status, 200);
    return Buffer.from(await answer.arrayBuffer());
  };
  assert.match((await file('csv')).toString(), /^"post_id","platform","source",/);
  assert.equal((await file('csv&bom=yes')).subarray(0, 3).toString('hex'), 'efbbbf', 'for Excel');
  const lines = (await file('jsonl')).toString().trim().split('\n');
  assert.ok(lines.every((line) => JSON.parse(line).post_id));
  const parquet = await file('parquet');
  assert.equal(parquet.subarray(0, 4).toString() + parquet.subarray(-4).toString(), 'PAR1PAR1');
});

test('the stream brings new posts and holds still while someone reads', async () => {
  const { context, page } = await open('/', { as: cookies });
  const feed = page.getByRole('feed', { name: 'Latest posts' });
  await page.locator('.pulse.live').waitFor();
  await feed.locator('article').first().waitFor();
  await feed.hover();
  await page.getByText('Paused while you read').waitFor();
  const held = await feed.locator('article .words').first().innerText();
  await push('Something new has come while someone reads');
  await page.locator('.waiting').waitFor();
  assert.equal(await feed.locator('article .words').first().innerText(), held);
  // Not by the pointer: on its way it leaves the feed, which shows what waits by itself.
  await page.locator('.waiting').dispatchEvent('click');
  await page.locator('.waiting').waitFor({ state: 'detached' });
  await feed.getByText('Something new has come while someone reads').waitFor();
  await context.close();
});
