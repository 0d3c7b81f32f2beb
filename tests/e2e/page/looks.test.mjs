// Every view in both themes: nothing that axe-core calls serious, nothing wider than the screen, nothing
// that only a mouse can reach.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { findings, openBrowser, openPage } from "./browser.mjs";
import { asFile, skinPng } from "./picture.mjs";
import { startServer } from "./server.mjs";

let server;
let browser;
before(async () => {
  server = await startServer("--history", "{folder}/history.sqlite");
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

const example = async (page) => {
  await page.goto("/");
  await page.setInputFiles("#file", asFile(skinPng()));
};
const views = {
  start: async (page) => {
    await page.goto("/");
    await page.waitForSelector(".place");
    for (const summary of await page.locator(".limits summary").all()) await summary.click();
  },
  preview: example,
  camera: async (page) => {
    await page.goto("/");
    await page.click("#camera");
    await page.waitForSelector("#shutter:not([disabled])");
  },
  result: async (page) => {
    await example(page);
    await page.click("#examine");
    await page.waitForSelector(".bars", { timeout: 60_000 });
    for (const summary of ["#ways-title", "#about-title"]) await page.click(summary);
  },
  deleting: async (page) => {
    await views.result(page);
    await page.click("#do-delete");
  },
  trouble: async (page) => {
    page.expectRefusal(415);
    await page.goto("/");
    await page.setInputFiles("#file", asFile(Buffer.from("text"), "x.jpg", "image/jpeg"));
    await page.click("#examine");
    await page.waitForSelector('.note[role="alert"]');
  },
  system: async (page) => {
    await page.goto("/system/");
    await page.waitForSelector(".chart polygon");
  },
  history: async (page) => page.goto("/history/"),
  error: async (page) => {
    page.expectRefusal(404);
    await page.goto("/nowhere/");
  },
};

for (const [name, open] of Object.entries(views))
  for (const look of [
    { language: "vi", width: 320 },
    { language: "en", width: 1280, dark: true },
  ])
    test(`${name} is fit for everybody at ${look.width} px, ${look.dark ? "dark" : "light"}, ${look.language}`, async () => {
      const page = await openPage(browser, server, look);
      try {
        await open(page);
        assert.deepEqual(await findings(page), []);
        assert.equal(
          await page.evaluate(() => Math.max(0, document.documentElement.scrollWidth - innerWidth)),
          0,
          "scrolls sideways",
        );
        assert.deepEqual(page.faults(), []);
      } finally {
        await page.context().close();
      }
    });

test("everything from adding a photo to deleting its result can be done by keyboard", async () => {
  const page = await openPage(browser, server, {});
  const to = async (selector) => {
    for (let presses = 0; presses < 60; ++presses) {
      if (await page.evaluate((wanted) => document.activeElement?.matches(wanted), selector))
        return;
      await page.keyboard.press("Tab");
    }
    assert.fail(`Tab never reached ${selector}`);
  };
  await page.goto("/");
  await page.waitForSelector(".place");
  await to("#file");
  await page.setInputFiles("#file", asFile(skinPng()));
  await to("#examine");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".bars", { timeout: 60_000 });
  await to('.bar[aria-pressed="false"]');
  await page.keyboard.press("Enter");
  await page.waitForFunction(
    () =>
      document.activeElement?.getAttribute("aria-pressed") === "true" &&
      !document.querySelector(".busy"),
  );
  await to("#do-delete");
  await page.keyboard.press("Enter");
  await to("#do-deleteYes");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Deleted" }).waitFor();
  await page.context().close();
});

test("whoever asked for less motion gets none", async () => {
  const page = await openPage(browser, server, {});
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.goto("/");
  const seconds = await page
    .locator(".place")
    .evaluate((element) => Number.parseFloat(getComputedStyle(element).transitionDuration));
  assert.ok(seconds < 0.001);
  await page.context().close();
});
