// Each thing that can go wrong, provoked on the real server: said in plain words, with what to do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openBrowser, openPage } from "./browser.mjs";
import { asFile, hugePng, plainPng, skinPng } from "./picture.mjs";
import { keepBusy, startServer } from "./server.mjs";

let browser;
const servers = [];
before(async () => {
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  for (const server of servers) await server.stop();
});

async function withPage(server, options, use) {
  const page = await openPage(browser, server, options);
  try {
    await page.goto("/");
    await use(page);
    assert.deepEqual(page.faults(), []);
  } finally {
    await page.context().close();
  }
}

async function serve(...options) {
  const server = await startServer(...options);
  servers.push(server);
  return server;
}

async function send(page, file) {
  await page.setInputFiles("#file", file);
  await page.click("#examine");
}

const said = async (page, words) => {
  await page.locator('.note[role="alert"] h2').waitFor();
  assert.match(await page.textContent('.note[role="alert"]'), words);
};

test("what the server cannot read is said for what it is", async () => {
  const server = await serve("--max-upload", "1M");
  const cases = [
    [
      "no picture",
      asFile(Buffer.from("this is text"), "text.jpg", "image/jpeg"),
      415,
      /not a photo the server can read[^]*JPEG, PNG or WebP/,
    ],
    [
      "a torn picture",
      asFile(skinPng().subarray(0, 400)),
      400,
      /could not be read[^]*damaged or cut short/,
    ],
    ["too many pixels", asFile(hugePng()), 413, /too many pixels[^]*megapixels/],
  ];
  for (const [, file, status, words] of cases)
    await withPage(server, {}, async (page) => {
      page.expectRefusal(status);
      await send(page, file);
      await said(page, words);
    });
  await withPage(server, { language: "vi" }, async (page) => {
    page.expectRefusal(415);
    await send(page, cases[0][1]);
    await said(page, /không đọc được loại tệp này/);
  });
});

test("a file that is too big, empty or no picture is told before it is sent", async () => {
  const server = await serve("--max-upload", "1M");
  const cases = [
    [asFile(Buffer.alloc(1_100_000, 1)), /too big[^]*up to 1 MB/],
    [asFile(Buffer.alloc(0)), /file is empty/],
    [asFile(Buffer.from("%PDF-1.4"), "a.pdf", "application/pdf"), /not a photo/],
  ];
  for (const [file, words] of cases)
    await withPage(server, {}, async (page) => {
      const sent = [];
      page.on("request", (request) => request.method() === "POST" && sent.push(request.url()));
      await page.setInputFiles("#file", file);
      await said(page, words);
      assert.deepEqual(sent, []);
    });
});

test("offline and a server that is gone are told apart, and the photo stays", async () => {
  const server = await serve();
  await withPage(server, {}, async (page) => {
    page.expectRefusal(0);
    await page.context().setOffline(true);
    await send(page, asFile(skinPng()));
    await said(page, /You are offline/);
    assert.ok(await page.locator("#preview").isVisible());
    await page.context().setOffline(false);
    await page.click("#again");
    await page.waitForSelector(".bars", { timeout: 60_000 });
  });
  await withPage(server, {}, async (page) => {
    page.expectRefusal(0);
    await server.stop();
    await send(page, asFile(skinPng()));
    await said(page, /server does not answer/);
  });
});

test("a busy server is waited for: the place in the queue, then the answer", async () => {
  // One session: the browser has a core of its own to show what happens.
  const server = await serve("--queue", "8", "--sessions", "1");
  const rest = keepBusy(server.url, skinPng(3000, 2200), 8);
  try {
    await withPage(server, {}, async (page) => {
      await send(page, asFile(skinPng(1600, 1200)));
      await page.waitForSelector(".steps");
      await page.waitForFunction(
        () => /place \d/.test(document.querySelector(".steps")?.textContent ?? ""),
        null,
        { timeout: 30_000, polling: 50 },
      );
      await rest();
      await page.waitForSelector(".bars", { timeout: 60_000 });
    });
  } finally {
    await rest();
  }
});

test("the place is the server's word: who comes later does not move it", async () => {
  const server = await serve("--queue", "16", "--sessions", "1", "--preload");
  const posts = [];
  const vast = plainPng(8000, 6000);
  const large = plainPng(5000, 4000);
  const post = (body) => {
    const options = { method: "POST", body, headers: { "Content-Type": "image/png" } };
    const answer = fetch(`${server.url}/api/v1/explain?output=map&keep=0`, options);
    posts.push(answer.then((response) => response.arrayBuffer()));
  };
  const queued = async (count) => {
    for (let tries = 0; tries < 2000; ++tries) {
      const { queue, sessions } = await (await fetch(`${server.url}/memory/`)).json();
      if (queue.depth >= count && sessions.busy === 1) return;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.fail(`there never were ${count} in the queue`);
  };
  await withPage(server, {}, async (page) => {
    await page.setInputFiles("#file", asFile(skinPng(400, 300)));
    await page.evaluate(() => {
      globalThis.places = [];
      new MutationObserver(() => {
        const [, place] = /place (\d+)/.exec(document.querySelector(".steps")?.textContent) ?? [];
        if (place && globalThis.places.at(-1) !== Number(place)) globalThis.places.push(Number(place));
      }).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    for (const [index, photo] of [vast, large, large].entries()) {
      post(photo);
      await queued(index);
    }
    await page.click("#examine");
    await queued(3);
    for (let index = 0; index < 3; ++index) post(skinPng());
    await page.waitForSelector(".bars", { timeout: 60_000 });
    const places = await page.evaluate("places");
    // The first ones may be done before the page looks.
    assert.ok(places.length > 0 && places[0] <= 3, `${places}`);
    assert.deepEqual(places, places.toSorted().reverse());
  });
  await Promise.all(posts);
});

test("a full queue counts down and sends again by itself", async () => {
  const server = await serve("--queue", "1");
  const rest = keepBusy(server.url, skinPng(3000, 2200), 12);
  try {
    await withPage(server, {}, async (page) => {
      page.expectRefusal(503);
      for (let tries = 0; tries < 20; ++tries) {
        await send(page, asFile(skinPng()));
        await page.waitForSelector('.note[role="alert"], .bars', { timeout: 60_000 });
        if (await page.locator('.note[role="alert"]').count()) break;
        await page.goto("/");
      }
      await said(page, /server is busy|Not enough free memory|still loading/);
      assert.match(await page.textContent('.note[role="alert"]'), /Trying again in \d+ s/);
      await rest();
      await page.waitForSelector(".bars", { timeout: 60_000 });
    });
  } finally {
    await rest();
  }
});

test("a deadline that passes is said, and can be tried again", async () => {
  const server = await serve("--queue", "64", "--deadline", "300ms", "--preload");
  const rest = keepBusy(server.url, skinPng(3000, 2200), 24);
  try {
    await withPage(server, {}, async (page) => {
      page.expectRefusal(504);
      for (let tries = 0; tries < 20; ++tries) {
        await send(page, asFile(skinPng()));
        await page.waitForSelector('.note[role="alert"], .bars', { timeout: 60_000 });
        if (await page.locator('.note[role="alert"]').count()) break;
        await page.goto("/");
      }
      await said(page, /took too long/);
      assert.ok(await page.locator("#again").isVisible());
    });
  } finally {
    await rest();
  }
});

test("an upload can be cancelled, and the photo stays", async () => {
  const server = await serve("--sessions", "1");
  const rest = keepBusy(server.url, skinPng(3000, 2200), 8);
  try {
    await withPage(server, {}, async (page) => {
      page.expectRefusal(0);
      await send(page, asFile(skinPng()));
      await page.click("#cancel");
      await page.waitForSelector("#examine");
      assert.ok(await page.locator("#preview").isVisible());
      assert.equal(await page.locator('.note[role="alert"]').count(), 0);
    });
  } finally {
    await rest();
  }
});

// Whether a real photo yields such an answer is up to the model; the server's true answer, changed in
// the one respect, shows that the page says so.
test("an empty heatmap and a photo unlike any known are said plainly", async () => {
  const server = await serve();
  await withPage(server, {}, async (page) => {
    await page.route("**/api/v1/explain*", async (route) => {
      const response = await route.fetch();
      const answer = await response.json();
      answer.explanations[0].map.fill(0);
      answer.explanations[0].degenerate = true;
      answer.gate = { known: false };
      await route.fulfill({ response, json: answer });
    });
    await send(page, asFile(skinPng()));
    await page.waitForSelector(".bars", { timeout: 60_000 });
    const text = await page.textContent("main");
    assert.match(text, /This heatmap says nothing/);
    assert.match(text, /unlike those the model has learned[^]*no safety net/);
    assert.equal(await page.locator("#map").isVisible(), false);
  });
});
