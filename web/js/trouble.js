// Puts every failure into plain words: what happened, and what to do about it.
import { h, icon, note, replace } from "./dom.js";
import { Trouble } from "./api.js";
import { limits } from "./limits.js";
import { onLanguage, t } from "./language.js";

const BY_STATUS = {
  0: "unreachable",
  400: "broken",
  401: "access",
  403: "access",
  404: "gone",
  408: "slow",
  410: "gone",
  413: "large",
  415: "type",
  422: "refused",
  429: "often",
  503: "busy",
  504: "late",
  507: "unfit",
};
const BY_CODE = {
  pixels: "pixels",
  too_many_pixels: "pixels",
  over_limit: "needs",
  memory_limit: "memory",
  loading: "loading",
  refused: "refused",
};

// A 503 with one of these codes is about the model's file, and waiting does not mend it.
const MODEL_CODES = new Set(["malformed", "unsupported", "corrupt", "io"]);
// What stands for the photo when it is first sent stands for the choice of class, method or layer
// when the same photo is sent again.
const ABOUT_THE_PHOTO = new Set(["broken", "needs", "type", "gone", "large"]);

function kindOf(trouble, again) {
  if (trouble.kind !== "status") return trouble.kind;
  if (trouble.code === "empty") return "empty";
  if (trouble.status === 503 && MODEL_CODES.has(trouble.code)) return "model";
  const kind = ofStatus(trouble);
  return again && ABOUT_THE_PHOTO.has(kind) ? "choice" : kind;
}

function ofStatus(trouble) {
  const kind = BY_CODE[trouble.code] ?? BY_STATUS[trouble.status] ?? "other";
  return kind === "large" && /pixel/i.test(trouble.message) ? "pixels" : kind;
}

const WAITS = new Set(["busy", "memory", "loading"]);
const RETRIES = new Set([
  "offline",
  "unreachable",
  "late",
  "slow",
  "often",
  "other",
  "unfit",
  "model",
]);

// {kind, title, todo, detail, wait: seconds until an automatic retry or null, retry: bool}
// `again`: the server has read this photo before.
export function words(error, again = false) {
  const trouble =
    error instanceof Trouble
      ? error
      : new Trouble("status", { code: "page", message: String(error) });
  const kind = kindOf(trouble, again);
  const values = { mb: limits.uploadMb, mp: limits.pixelsMp };
  const waits = WAITS.has(kind);
  return {
    kind,
    title: t(`trouble.${kind}`),
    todo: t(`trouble.${kind}.do`, values),
    detail:
      trouble.kind === "status"
        ? [trouble.status || "", trouble.message].filter(Boolean).join(": ")
        : "",
    wait: waits ? (trouble.retryAfter ?? 5) : null,
    retry: waits || RETRIES.has(kind),
  };
}

// A note about `error`. `again` is called by the retry button, and by itself after a countdown where
// waiting helps (`automatic`). `known`: the photo was read before. stop() on the element ends the count.
export function troubleNote(error, { again, automatic = false, known = false } = {}) {
  const said = words(error, known);
  const buttons = h("div", { class: "row" });
  const element = note(
    said.wait === null ? "wrong" : "careful",
    "careful",
    said.title,
    h("p", {}, said.todo),
    buttons,
    said.detail &&
      h(
        "details",
        { class: "small" },
        h("summary", {}, t("trouble.detail")),
        h("p", { lang: "en" }, said.detail),
      ),
  );
  element.setAttribute("role", "alert");
  let timer = 0;
  element.stop = () => clearInterval(timer);
  const go = () => {
    element.stop();
    again();
  };
  if (said.kind === "access")
    buttons.append(
      h(
        "a",
        { class: "button", href: `/login?next=${encodeURIComponent(location.pathname)}` },
        t("trouble.login"),
      ),
    );
  if (again && said.retry) {
    const counts = automatic && said.wait !== null;
    buttons.append(
      h(
        "button",
        { class: "button", type: "button", id: "again", onclick: go },
        icon("again"),
        t(counts ? "trouble.now" : "trouble.again"),
      ),
    );
    if (counts) timer = countDown(said.wait, buttons, go);
  }
  return element;
}

function countDown(seconds, place, done) {
  // Hidden from screen readers: an alert that speaks every second is no help.
  const text = h("span", { class: "figures", "aria-hidden": "true" });
  let left = Math.max(1, seconds);
  const show = () => (text.textContent = t("trouble.in", { n: left }));
  show();
  place.append(text);
  const timer = setInterval(() => {
    left -= 1;
    if (left <= 0) {
      clearInterval(timer);
      done();
    } else {
      show();
    }
  }, 1000);
  return timer;
}

// The page that the server sends for an error, in plain words and both languages.
export function errorView(place) {
  const { status, code, message, retryAfter } = place.dataset;
  const error = new Trouble("status", {
    status: Number(status),
    code,
    message,
    retryAfter: Number(retryAfter) || null,
  });
  const show = () => {
    const said = words(error);
    replace(
      place,
      h("p", { class: "label figures" }, status),
      h("h1", {}, said.title),
      h("p", {}, said.todo),
      said.detail &&
        h(
          "details",
          { class: "small muted" },
          h("summary", {}, t("trouble.detail")),
          h("p", { lang: "en" }, said.detail),
        ),
      h("p", { class: "row" }, h("a", { class: "button main", href: "/" }, t("trouble.start"))),
    );
  };
  show();
  onLanguage(show);
}
