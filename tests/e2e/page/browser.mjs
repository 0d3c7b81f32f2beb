// A real Chromium, and pages in it that remember what they should not have done: written to the
// console, thrown, or asked another host for something.
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { binary } from "./server.mjs";

const modules = process.env.DERMLENS_NODE_MODULES;
const require = createRequire(modules ? join(modules, "x.js") : import.meta.url);
const chromium = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-device-for-media-stream",
  "--use-fake-ui-for-media-stream",
];

const found = (name) => {
  try {
    return require.resolve(name);
  } catch {
    return null;
  }
};

// What the tests need and this machine lacks; "" where nothing.
export function missing() {
  if (!binary || !existsSync(binary)) return `no server (DERMLENS_BINARY='${binary}')`;
  if (!existsSync(chromium)) return `no browser (${chromium}; CHROMIUM names another)`;
  for (const name of ["playwright-core", "axe-core"])
    if (!found(name)) return `${name} is not installed (npm ci in tests/e2e/page)`;
  return "";
}

export const openBrowser = () =>
  require("playwright-core").chromium.launch({ executablePath: chromium, args: ARGUMENTS });

// A page in a context of its own. page.faults() lists what went wrong so far; a refusal by the server
// that a test provokes is expected there with expectRefusal(status).
export async function openPage(
  browser,
  server,
  { language = "en", dark = false, width = 1280, scripts = true } = {},
) {
  const context = await browser.newContext({
    viewport: { width, height: 800 },
    locale: language === "vi" ? "vi-VN" : "en-GB",
    colorScheme: dark ? "dark" : "light",
    javaScriptEnabled: scripts,
    baseURL: server.url,
    acceptDownloads: true,
  });
  context.setDefaultTimeout(60_000); // tests share their cores with builds
  const page = await context.newPage();
  const faults = [];
  const expected = [];
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    if (!expected.some((text) => message.text().includes(text))) faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error.stack ?? error)));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(server.url) && !/^(blob|data):/.test(url))
      faults.push(`asked another host: ${url}`);
  });
  page.faults = () => faults;
  page.expectRefusal = (status) => expected.push(status ? `status of ${status}` : "net::ERR");
  return page;
}

const axe = () => readFileSync(found("axe-core"), "utf8");

// Accessibility findings that axe-core calls serious or critical. Evaluated outside the page's CSP.
export async function findings(page) {
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: axe() });
  const run =
    "axe.run(document).then((result) => JSON.stringify(result.violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html.slice(0, 160)) }))))";
  const { result } = await session.send("Runtime.evaluate", {
    expression: run,
    awaitPromise: true,
    returnByValue: true,
  });
  await session.detach();
  return JSON.parse(result.value).filter(
    ({ impact }) => impact === "serious" || impact === "critical",
  );
}
