// Talks to the server. Every failure is a Trouble: what happened, in terms that trouble.js can put
// into words.
import { limits } from "./limits.js";

export class Trouble extends Error {
  // kind: "offline", "unreachable", "aborted", or "status" with the HTTP status and error code.
  constructor(kind, { status = 0, code = "", message = "", retryAfter = null } = {}) {
    super(message || kind);
    Object.assign(this, { kind, status, code, retryAfter });
  }
}

function retryAfterSeconds(header) {
  const seconds = Number.parseInt(header ?? "", 10);
  return Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 300) : null;
}

export function troubleOf(status, text, retryAfter) {
  let body = {};
  try {
    body = JSON.parse(text) ?? {};
  } catch {
    // Not ours: a proxy's page, perhaps. The status has to do.
  }
  return new Trouble("status", {
    status,
    code: String(body.code ?? ""),
    message: String(body.error ?? ""),
    retryAfter: retryAfterSeconds(retryAfter),
  });
}

const lost = () => new Trouble(navigator.onLine === false ? "offline" : "unreachable");

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(path, {
      headers: { Accept: "application/json" },
      credentials: "same-origin",
      ...options,
    });
  } catch (error) {
    throw error.name === "AbortError" ? new Trouble("aborted") : lost();
  }
  if (!response.ok)
    throw troubleOf(response.status, await response.text(), response.headers.get("Retry-After"));
  return response;
}

export async function getJson(path, options) {
  const response = await request(path, options);
  try {
    return await response.json();
  } catch {
    throw new Trouble("status", { status: response.status, code: "not_json" });
  }
}

export const remove = (path) => request(path, { method: "DELETE" });

// Sends a photo to be explained, or only classified where heatmaps are off, and resolves with the
// answer. XMLHttpRequest, because fetch does not tell how much of an upload has gone. `progress` gets
// 0..1, then `sent` is called once. `notes` go along as fields.
export function explain(file, parameters, { progress, sent, signal, notes = {} } = {}) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("image", file, file.name || "photo.jpg");
    for (const [name, text] of Object.entries(notes))
      if (text.trim()) form.append(name, text.trim());
    const call = new XMLHttpRequest();
    call.open(
      "POST",
      `/api/v1/${limits.heatmaps ? "explain" : "classify"}?${new URLSearchParams(parameters)}`,
    );
    call.setRequestHeader("Accept", "application/json");
    call.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) progress?.(event.loaded / event.total);
    });
    call.upload.addEventListener("load", () => sent?.());
    call.addEventListener("error", () => reject(lost()));
    call.addEventListener("timeout", () => reject(lost()));
    call.addEventListener("abort", () => reject(new Trouble("aborted")));
    call.addEventListener("load", () => {
      if (call.status !== 200)
        return reject(
          troubleOf(call.status, call.responseText, call.getResponseHeader("Retry-After")),
        );
      try {
        resolve(JSON.parse(call.responseText));
      } catch {
        reject(new Trouble("status", { status: 200, code: "not_json" }));
      }
    });
    signal?.addEventListener("abort", () => call.abort(), { once: true });
    call.send(form);
  });
}

let known = null;

// The model that answers here: its card once it is loaded, until then its name only. The card is not
// asked for before, because asking loads the model, and a visit alone should cost no memory.
export async function model() {
  if (known) return known;
  const found = await findModel();
  if (found.classes?.length) known = found;
  return found;
}

async function findModel() {
  const { models = [] } = await getJson("/api/v1/models");
  const first = models.find((entry) => entry.default) ?? models[0];
  if (!first) throw new Trouble("status", { status: 404, code: "no_model" });
  if (first.state !== "ready") return { name: first.name };
  return getJson(`/api/v1/models/${encodeURIComponent(first.name)}`);
}
