// A photo's way through the page: added in four ways, sent, answered, looked at, taken away.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { openBrowser, openPage } from "./browser.mjs";
import { asFile, skinPng } from "./picture.mjs";
import { startServer } from "./server.mjs";

let server;
let browser;
before(async () => {
  server = await startServer();
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

async function withPage(options, use) {
  const page = await openPage(browser, server, options);
  try {
    await use(page);
    assert.deepEqual(page.faults(), []);
  } finally {
    await page.context().close();
  }
}

async function examine(page, picture = skinPng()) {
  await page.goto("/");
  await page.setInputFiles("#file", asFile(picture));
  await page.click("#examine");
  await page.waitForSelector("#map:not([hidden]), .note h2", {
    state: "attached",
    timeout: 60_000,
  });
  await page.waitForSelector(".bars");
}

const id = (page) => page.url().match(/\/result\/([0-9a-f]{32})\/$/)?.[1];
const percentages = (page) => page.locator(".bar .share").allTextContents();
const sum = (texts) =>
  texts.reduce((total, text) => total + Number.parseFloat(text.replace(",", ".")), 0);

const drawn = (page) => page.evaluate(() => document.getElementById("map").toDataURL());

for (const language of ["en", "vi"])
  test(`a chosen file is answered with every class and a heatmap (${language})`, () =>
    withPage({ language }, async (page) => {
      await examine(page);
      assert.equal(await page.getAttribute("html", "lang"), language);
      const shares = await percentages(page);
      assert.equal(shares.length, 7);
      assert.ok(Math.abs(sum(shares) - 100) < 0.05, shares.join());
      for (const share of shares)
        assert.match(share, language === "vi" ? /^\d+,\d\d\s?%$/ : /^\d+\.\d\d%$/);
      assert.ok(id(page));
      const native = await page.request
        .get(`/api/v1/results/${id(page)}`)
        .then((response) => response.json());
      const best = native.predictions[0];
      assert.equal(
        (await page.textContent("h1")).includes(best.names?.[language] ?? best.class),
        true,
      );
      assert.match(
        await page.textContent("main"),
        language === "vi"
          ? /ung thư da khác không nằm trong/
          : /Melanoma and other cancers are not among them/,
      );
      assert.match(
        await page.textContent("main"),
        language === "vi" ? /không khoanh vùng bệnh/ : /does not outline the disease/,
      );
      assert.equal(await page.locator(".disclaimers p").count(), 2);
    }));

test("the map on the canvas is the answer's own, coloured as the server colours it", () =>
  withPage({}, async (page) => {
    await examine(page);
    const overlay = await page.evaluate(
      async (path) => {
        const load = async (source) => {
          const image = new Image();
          image.src = source;
          await image.decode();
          return image;
        };
        const [theirs, photo] = [
          await load(`${path}/overlay.png`),
          await load(`${path}/photo.jpg`),
        ];
        const [width, height] = [theirs.naturalWidth, theirs.naturalHeight];
        const pixels = (draw) => {
          const context = Object.assign(document.createElement("canvas"), {
            width,
            height,
          }).getContext("2d");
          draw(context);
          return context.getImageData(0, 0, width, height).data;
        };
        const ours = pixels((context) => {
          context.drawImage(photo, 0, 0, width, height);
          context.globalAlpha = 0.4;
          context.drawImage(document.getElementById("map"), 0, 0, width, height);
        });
        const other = pixels((context) => context.drawImage(theirs, 0, 0));
        return (
          ours.reduce((total, value, i) => total + Math.abs(value - other[i]), 0) / ours.length
        );
      },
      `/api/v1/results/${id(page)}`,
    );
    assert.ok(overlay < 3, `mean difference from the server's overlay: ${overlay} of 255`);
  }));

test("tapping a class shows the heatmap for that class", () =>
  withPage({}, async (page) => {
    await examine(page);
    for (const index of [1, 2]) {
      const bar = page.locator(".bar").nth(index);
      const name = await bar.locator(".name").textContent();
      await bar.click();
      await page.waitForFunction(
        (text) => document.querySelector(".caption strong")?.textContent === text,
        name,
      );
      assert.equal(await bar.getAttribute("aria-pressed"), "true");
      assert.equal(await page.locator('.bar[aria-pressed="true"]').count(), 1);
    }
  }));

test("method, layer, colours, opacity and on/off change what is seen", () =>
  withPage({}, async (page) => {
    await examine(page);
    await page.click("#ways-title");
    const before = await drawn(page);
    await page.selectOption("#colormap", "viridis");
    assert.notEqual(await drawn(page), before);
    for (const method of ["gradcam++", "hirescam", "xgradcam", "layercam", "eigencam"]) {
      const answered = page.waitForResponse((response) =>
        response.url().includes("/api/v1/explain"),
      );
      await page.selectOption("#method", method);
      const answer = await (await answered).json();
      assert.equal(answer.explanations[0].method, method);
      await page.waitForFunction(() => !document.querySelector(".stage.busy"));
    }
    const layers = await page.locator("#layer option").count();
    assert.ok(layers > 3, `${layers} layers`);
    const answered = page.waitForResponse((response) => response.url().includes("/api/v1/explain"));
    await page.selectOption("#layer", "last_conv");
    assert.equal((await answered).status(), 200);
    await page.locator("#opacity").fill("75");
    assert.equal(await page.evaluate(() => document.getElementById("map").style.opacity), "0.75");
    if (await page.locator("#on").count()) {
      await page.uncheck("#on");
      assert.equal(await page.locator("#map").isVisible(), false);
    }
  }));

test("PNG and JSON can be downloaded, and hold what is shown", () =>
  withPage({}, async (page) => {
    await examine(page);
    const fetched = async (button) => {
      const [download] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
      return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
    };
    const png = await fetched("#do-png");
    assert.match(png.name, /^dermlens-[0-9a-f]{8}-\d\.png$/);
    assert.deepEqual([...png.bytes.subarray(1, 4)], [...Buffer.from("PNG")]);
    const json = JSON.parse((await fetched("#do-json")).bytes);
    assert.equal(json.id, id(page));
    const { grid, map } = json.explanations[0];
    assert.equal(map.length, grid[0] * grid[1]);
  }));

test("the report prints on one page", () =>
  withPage({ dark: true }, async (page) => {
    await examine(page, skinPng(240, 360));
    const pdf = (await page.pdf({ format: "A4" })).toString("latin1");
    assert.equal(pdf.match(/\/Type\s*\/Page\b(?!s)/g).length, 1);
  }));

test("a result can be opened again by its address, explained further, and deleted", () =>
  withPage({}, async (page) => {
    await examine(page);
    const result = id(page);
    await page.reload();
    await page.waitForSelector("#map");
    assert.equal((await percentages(page)).length, 7);
    const bar = page.locator(".bar").nth(1);
    const name = await bar.locator(".name").textContent();
    await bar.click();
    await page.waitForFunction(
      (text) => document.querySelector(".caption strong")?.textContent === text,
      name,
    );
    await page.click("#do-delete");
    await page.click("#do-deleteNo");
    await page.click("#do-delete");
    await page.click("#do-deleteYes");
    await page.getByRole("heading", { name: "Deleted" }).waitFor();
    assert.equal((await page.request.get(`/api/v1/results/${result}`)).status(), 404);
    assert.equal((await page.request.get(`/api/v1/results/${result}/photo.jpg`)).status(), 404);
  }));

test("back and forward move between the photo and its result", () =>
  withPage({}, async (page) => {
    await examine(page);
    const address = page.url();
    await page.goBack();
    await page.waitForSelector(".place");
    await page.goForward();
    await page.waitForSelector(".bars");
    assert.equal(page.url(), address);
  }));

test("the camera gives a photo that is answered", () =>
  withPage({ width: 360 }, async (page) => {
    await page.goto("/");
    await page.click("#camera");
    await page.waitForSelector("#shutter:not([disabled])");
    assert.ok(await page.locator(".frame").isVisible());
    await page.click("#shutter");
    await page.waitForSelector("#preview");
    await page.click("#examine");
    await page.waitForSelector(".bars");
  }));

test("however often the camera is switched, one stream is open, and none afterwards", () =>
  withPage({}, async (page) => {
    await page.addInitScript(() => {
      const media = navigator.mediaDevices;
      const open = media.getUserMedia.bind(media);
      globalThis.tracks = [];
      media.getUserMedia = async (wish) => {
        await new Promise((resolve) => setTimeout(resolve, 300));
        const stream = await open(wish);
        globalThis.tracks.push(...stream.getTracks());
        return stream;
      };
      media.enumerateDevices = async () => [{ kind: "videoinput" }, { kind: "videoinput" }];
    });
    await page.goto("/");
    await page.click("#camera");
    await page.waitForSelector("#camera-flip:not([hidden])");
    await page.evaluate(() => {
      document.getElementById("camera-flip").click();
      document.getElementById("camera-flip").click();
    });
    await page.waitForFunction(() => globalThis.tracks.length > 1);
    await page.waitForSelector("#shutter:enabled");
    await page.waitForTimeout(500);
    const live = () =>
      page.evaluate(
        () => globalThis.tracks.filter(({ readyState }) => readyState === "live").length,
      );
    assert.equal(await live(), 1);
    await page.click("#camera-close");
    await page.waitForSelector("dialog.camera", { state: "detached" });
    assert.equal(await live(), 0);
  }));

test("no overlay is sent to a page that draws the map itself, and yet one is kept", () =>
  withPage({}, async (page) => {
    const answered = page.waitForResponse((response) => response.url().includes("/explain?"));
    await examine(page);
    const { overlay } = (await (await answered).json()).explanations[0];
    assert.equal(overlay.b64, undefined);
    const kept = await page.request.get(overlay.url);
    assert.equal(kept.headers()["content-type"], "image/png");
  }));

test("where the photo is missing no picture is offered", () =>
  withPage({}, async (page) => {
    await examine(page);
    const address = page.url();
    page.expectRefusal(404);
    await page.route("**/photo.jpg", (route) => route.fulfill({ status: 404 }));
    await page.goto(address);
    await page.getByText("No photo was kept").waitFor();
    assert.equal(await page.locator("#do-png").count(), 0);
    assert.equal(await page.locator("#do-json").count(), 1);
  }));

test("a photo can be dropped and pasted", () =>
  withPage({}, async (page) => {
    const bytes = [...skinPng(64, 48)];
    const give = (kind) =>
      page.evaluate(
        ({ kind, bytes }) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, { type: "image/png" }));
          const event =
            kind === "paste"
              ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true })
              : new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          document.body.dispatchEvent(event);
        },
        { kind, bytes },
      );
    for (const kind of ["drop", "paste"]) {
      await page.goto("/");
      await page.waitForSelector(".place");
      await give(kind);
      await page.waitForSelector("#preview");
      assert.match(await page.textContent(".intake"), new RegExp(`${kind}\\.png`));
    }
  }));

test("where the camera is forbidden, the file input's own camera takes its place", () =>
  withPage({}, async (page) => {
    await page.addInitScript(() =>
      Object.defineProperty(globalThis, "isSecureContext", { value: false }),
    );
    await page.goto("/");
    assert.equal(await page.getAttribute("input#camera", "capture"), "environment");
  }));

test("the language and the theme that somebody chose are remembered", () =>
  withPage({ language: "vi" }, async (page) => {
    await page.goto("/");
    assert.match(await page.textContent("h1"), /Xem ảnh da/);
    await page.click("#language");
    assert.match(await page.textContent("h1"), /See a skin photo/);
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const light = await paper();
    await page.click("#theme");
    const dark = await paper();
    assert.notEqual(dark, light);
    await page.reload();
    assert.match(await page.textContent("h1"), /See a skin photo/);
    assert.equal(await paper(), dark);
  }));
