// What stands beside the lively page: no JavaScript at all, signing in, the history, the dashboard.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openBrowser, openPage } from "./browser.mjs";
import { asFile, skinPng } from "./picture.mjs";
import { startServer } from "./server.mjs";

let browser;
const servers = [];
before(async () => {
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  for (const server of servers) await server.stop();
});

async function serve(...options) {
  const server = await startServer(...options);
  servers.push(server);
  return server;
}

async function withPage(server, options, use) {
  const page = await openPage(browser, server, options);
  try {
    await use(page);
    assert.deepEqual(page.faults(), []);
  } finally {
    await page.context().close();
  }
}

test("without JavaScript the form posts and the result shows everything", async () => {
  const server = await serve();
  for (const language of ["vi", "en"])
    await withPage(server, { language, scripts: false, width: 360 }, async (page) => {
      await page.goto("/");
      await page.setInputFiles("#image", asFile(skinPng()));
      await page.click("form button.main");
      await page.waitForURL(/\/result\/[0-9a-f]{32}\/$/, { timeout: 60_000 });
      assert.equal(await page.locator("tbody tr").count(), 7);
      const shares = await page.locator("tbody td.number").allTextContents();
      for (const share of shares) assert.match(share.trim(), /^\d+\.\d\d %$/);
      for (const image of await page.locator("figure img").all())
        assert.ok(await image.evaluate((element) => element.complete && element.naturalWidth > 0));
      assert.equal(await page.locator("figure img").count(), 2);
      assert.ok((await page.textContent("figcaption")).trim().length > 20);
      assert.match(
        await page.textContent("main"),
        language === "vi" ? /bảy tình trạng/ : /seven conditions/,
      );
      const address = page.url();
      await page.locator('form[action$="/delete"] button').click();
      assert.equal((await page.request.get(address)).status(), 404);
    });
});

test("with a token file the page asks for the token, keeps a cookie, and lets go again", async () => {
  const tokens = join(tmpdir(), `dermlens-page-tokens-${process.pid}`);
  writeFileSync(tokens, "a-token-for-this-test-0123456789\n", { mode: 0o600 });
  const server = await serve("--api-token-file", tokens);
  await withPage(server, {}, async (page) => {
    page.expectRefusal(401);
    page.expectRefusal(403);
    await page.goto("/");
    assert.match(page.url(), /\/login/);
    await page.fill("#token", "wrong");
    await page.click("form .button.main");
    await page.locator('.note[role="alert"]').waitFor();
    await page.fill("#token", "a-token-for-this-test-0123456789");
    await page.click("form .button.main");
    await page.waitForSelector(".place");
    await page.setInputFiles("#file", asFile(skinPng()));
    await page.click("#examine");
    await page.waitForSelector(".bars", { timeout: 60_000 });
    await page.goto("/system/");
    await page.waitForSelector(".chart polygon");
    await page.click('form[action="/logout"] button');
    await page.goto("/");
    assert.match(page.url(), /\/login/);
  });
});

test("the history lists results with their notes, filters them and deletes one", async () => {
  const server = await serve("--history", "{folder}/history.sqlite");
  await withPage(server, {}, async (page) => {
    await page.goto("/history/");
    assert.match(await page.textContent("main"), /No results match/);
    await page.goto("/");
    await page.setInputFiles("#file", asFile(skinPng()));
    await page.click(".intake summary");
    await page.fill("#age", "34");
    await page.fill("#symptom", "<b>itching</b> & more");
    await page.click("#examine");
    await page.waitForSelector(".bars", { timeout: 60_000 });
    await page.goto("/history/");
    assert.equal(await page.locator(".rows li").count(), 1);
    assert.match(await page.textContent(".rows"), /34[^]*<b>itching<\/b> & more/);
    await page.fill("#from", "2000-01-01");
    await page.fill("#to", "2000-01-02");
    await page.click(".filter button");
    assert.equal(await page.locator(".rows li").count(), 0);
    await page.goto("/history/");
    await page.click(".rows form button");
    await page.waitForFunction(() => document.querySelectorAll(".rows li").length === 0);
  });
});

test("the dashboard moves by itself and agrees with /memory/", async () => {
  const server = await serve("--memory-limit", "256M");
  await withPage(server, {}, async (page) => {
    await page.goto("/system/");
    await page.waitForSelector(".chart polygon");
    const points = () =>
      page.evaluate(
        () => document.querySelector(".chart polygon").getAttribute("points").split(" ").length,
      );
    const first = await points();
    await page.waitForFunction(
      (count) =>
        document.querySelector(".chart polygon").getAttribute("points").split(" ").length > count,
      first,
    );
    const report = await page.request.get("/memory/").then((response) => response.json());
    assert.equal(report.limit_mb, 256);
    assert.match(await page.textContent("#view"), /of 256\.0 MB/);
    assert.equal(await page.locator(".ledger li").count(), 9);
    assert.match(await page.textContent("#view"), /Live/);
  });
});

test("an address that leads nowhere says so, in the reader's language", async () => {
  const server = await serve();
  for (const [language, words] of [
    ["en", /no longer here/],
    ["vi", /không còn ở đây/],
  ])
    await withPage(server, { language }, async (page) => {
      page.expectRefusal(404);
      await page.goto(`/result/${"0".repeat(32)}/`);
      await page.waitForFunction(
        (text) => new RegExp(text).test(document.querySelector("main").textContent),
        words.source,
      );
    });
});

test("what the server says in English is marked so for readers of another language", async () => {
  const server = await serve();
  for (const scripts of [true, false])
    await withPage(server, { language: "vi", scripts }, async (page) => {
      page.expectRefusal(404);
      await page.goto("/nowhere");
      const said = page.getByText("there is nothing at this address");
      assert.equal(await said.last().getAttribute("lang"), "en");
    });
});

test("of a model that states nothing the page claims nothing", async () => {
  const other = new URL("../../golden/fixtures/mbconv/model.onnx", import.meta.url).pathname;
  const server = await serve("--model", other);
  const claims = /melanom|seven|bảy|non-commercial|phi thương mại/i;
  const look = async (options) =>
    withPage(server, options, async (page) => {
      await page.goto("/");
      await page.waitForSelector(".limits");
      const text = await page.textContent("body");
      assert.doesNotMatch(text, claims);
      assert.match(text, options.language === "vi" ? /Ảnh nào cũng bị gán/ : /Any photo is given/);
    });
  for (const language of ["vi", "en"])
    for (const scripts of [true, false]) await look({ language, scripts });
  await withPage(server, { scripts: false }, async (page) => {
    await page.goto("/");
    await page.setInputFiles("#image", asFile(skinPng()));
    await page.click("form button.main");
    await page.waitForURL(/\/result\//, { timeout: 60_000 });
    const text = await page.textContent("main");
    assert.doesNotMatch(text, claims);
    assert.match(text, /It knows only \d+ classes/);
    await page.reload();
  });
  for (const scripts of [true, false]) await look({ language: "en", scripts });
});
