// The real server on a free port of this machine, for as long as a test needs it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const binary = process.env.DERMLENS_BINARY ?? "";
const START_MS = 30_000;

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}

async function answers(url, child) {
  for (const end = Date.now() + START_MS; Date.now() < end;) {
    if (child.exitCode !== null) return false;
    const response = await fetch(`${url}/health/`).catch(() => null);
    if (response?.ok) return true;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return false;
}

// Starts `dermlens serve` with further options. The result has .url, .folder (emptied afterwards) and
// .stop(), which resolves when the process is gone.
export async function startServer(...options) {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "dermlens-page-"));
  const cache = process.env.DERMLENS_CACHE_DIR ?? folder;
  const child = spawn(
    binary,
    [
      "serve",
      "--port",
      String(port),
      "--cache-dir",
      cache,
      ...options.map((option) => option.replace("{folder}", folder)),
    ],
    { stdio: ["ignore", "pipe", "pipe"] },
  );
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (log += data));
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    rmSync(folder, { recursive: true, force: true });
  };
  if (!(await answers(url, child))) {
    await stop();
    throw new Error(`the server did not start (exit code ${child.exitCode}):\n${log}`);
  }
  return { url, folder, stop, child, log: () => log };
}

// Sends photos from outside the page until stop() is called: `clients` at a time.
export function keepBusy(url, photo, clients) {
  let going = true;
  const one = async () => {
    while (going) {
      const form = new FormData();
      form.append("image", new Blob([photo], { type: "image/png" }), "busy.png");
      const response = await fetch(`${url}/api/v1/explain?output=map&keep=0`, {
        method: "POST",
        body: form,
      }).catch(() => null);
      await response?.arrayBuffer();
      if (response?.status !== 200) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const all = Promise.all(Array.from({ length: clients }, one));
  return async () => {
    going = false;
    await all;
  };
}
