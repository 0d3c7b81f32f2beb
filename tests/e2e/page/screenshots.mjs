// Takes the pictures of the page for the README from the real server, with the drawn sample photo:
//   DERMLENS_BINARY=build/dev/dermlens node screenshots.mjs ../../../docs/images
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openBrowser, openPage } from "./browser.mjs";
import { keepBusy, startServer } from "./server.mjs";

const folder = process.argv[2] ?? "screenshots";
const sample = new URL("../../../samples/sample.jpg", import.meta.url);
mkdirSync(folder, { recursive: true });

const views = [
  { name: "start", language: "en", width: 1280, height: 720, show: (page) => page.goto("/") },
  { name: "result", language: "en", width: 1280, height: 900, show: examine },
  { name: "phone", language: "vi", width: 390, height: 844, dark: true, show: examine },
  { name: "system", language: "en", width: 1280, height: 1080, dark: true, show: dashboard },
];

async function examine(page) {
  await page.goto("/");
  await page.setInputFiles("#file", sample.pathname);
  await page.click("#examine");
  await page.waitForSelector(".bars");
  await page.mouse.move(0, 0);
}

// Two minutes of a server at work fill the chart.
async function dashboard(page) {
  await page.goto("/system/");
  await page.waitForSelector(".chart polygon");
  for (const clients of [1, 2, 6, 3]) {
    const rest = keepBusy(server.url, readFileSync(sample), clients);
    await page.waitForTimeout(25_000);
    if (clients !== 3) await rest();
    else page.once("close", rest);
  }
}

const server = await startServer("--memory-limit", "96M");
const browser = await openBrowser();
try {
  for (const { name, show, width, height, ...look } of views) {
    const page = await openPage(browser, server, { ...look, width });
    await page.setViewportSize({ width, height });
    await show(page);
    await page.waitForTimeout(500);
    await page.screenshot({ path: join(folder, `page-${name}.png`) });
    await page.close();
  }
} finally {
  await browser.close();
  await server.stop();
}
