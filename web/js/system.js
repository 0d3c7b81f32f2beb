// The system view: memory against its limit as it moves, who is being served, and the plan. Figures
// come by server-sent events; where those fail, by asking /memory/ every two seconds.
import { getJson } from "./api.js";
import { areaChart, stackedBar, swatch } from "./chart.js";
import { h, replace } from "./dom.js";
import { limits } from "./limits.js";
import { megabytes, oneDecimal, onLanguage, t } from "./language.js";
import { planTable } from "./plan.js";
import { words } from "./trouble.js";

const SPAN_MS = 120_000;
const POLL_MS = 2000;
const MB = 1048576;
const CATEGORIES = [
  "base",
  "code",
  "weights",
  "arena",
  "scratch",
  "bodies",
  "decode",
  "encode",
  "results",
];

const state = { now: null, samples: [], source: "live", plan: null, trouble: null };

export function startSystem(place) {
  const draw = () => {
    document.title = `${t("system.title")} · dermlens`;
    render(place);
  };
  const take = (now) => {
    state.now = now;
    state.trouble = null;
    const at = Date.now();
    const { anon_mb = 0, file_mb = 0, rss_mb = 0 } = now.memory ?? {};
    state.samples.push({ at, parts: [(anon_mb || rss_mb - file_mb) * MB, file_mb * MB] });
    state.samples = state.samples.filter((sample) => at - sample.at <= SPAN_MS);
    if (now.model_loaded !== state.planLoaded) askPlan(now, draw);
    draw();
  };
  const lose = (error) => {
    state.trouble = error;
    draw();
  };
  onLanguage(draw);
  draw();
  listen(take, lose);
  getJson("/memory/").then(take, lose);
}

function askPlan(now, draw) {
  state.planLoaded = now.model_loaded;
  if (!now.model_loaded) {
    state.plan = now.plan; // As chosen at start: asking for more would load it.
    return;
  }
  getJson(`/api/v1/models/${encodeURIComponent(limits.modelName)}/plan`).then(
    (plan) => {
      state.plan = plan;
      draw();
    },
    () => {},
  );
}

function listen(take, lose) {
  const events = new EventSource("/api/v1/events");
  const read = (event) => {
    try {
      take(JSON.parse(event.data));
      state.source = "live";
    } catch {
      // A half line; the next one will do.
    }
  };
  for (const name of ["message", "memory", "status"]) events.addEventListener(name, read);
  events.addEventListener("error", () => {
    if (events.readyState !== EventSource.CLOSED) return; // The browser connects again by itself.
    state.source = "polling";
    poll(take, lose);
  });
}

async function poll(take, lose) {
  await getJson("/memory/").then(take, lose);
  setTimeout(poll, POLL_MS, take, lose);
}

function render(place) {
  place.className = "system";
  const { now, trouble } = state;
  const said = trouble && words(trouble);
  replace(
    place,
    h(
      "header",
      {},
      h("h1", {}, t("system.title")),
      h("p", { class: "muted" }, t("system.lead")),
      h(
        "p",
        { class: "small muted" },
        swatch(trouble ? "lost" : "live"),
        trouble ? `${said.title}. ${t("system.lost")}` : t(`system.${state.source}`),
      ),
    ),
    now && [memoryCard(now), tiles(now), categories(now), planCard()],
  );
}

function duration(seconds) {
  const [d, hours, m] = [
    Math.floor(seconds / 86400),
    Math.floor(seconds / 3600) % 24,
    Math.floor(seconds / 60) % 60,
  ];
  return d
    ? `${d} d ${hours} h`
    : hours
      ? `${hours} h ${m} min`
      : m
        ? `${m} min`
        : `${Math.floor(seconds)} s`;
}

// The upper edge of the chart: the limit where it is in sight, else a round figure over the peak.
function topOf(limit, peak) {
  return limit <= peak * 4 ? limit : 2 ** Math.ceil(Math.log2(Math.max(peak, MB) * 1.4));
}

function memoryCard(now) {
  const { memory } = now;
  const limit = (now.limit_mb ?? 0) * MB;
  const peak = (memory.peak_rss_mb ?? memory.rss_mb) * MB;
  const values = { used: megabytes(memory.rss_mb * MB), limit: megabytes(limit) };
  const top = topOf(limit, peak);
  const chart = areaChart({
    samples: state.samples,
    spanMs: SPAN_MS,
    top,
    limit,
    label: t("system.chartAlt", values),
  });
  const entry = (name, text, mb) =>
    h("li", {}, swatch(name), text, " ", h("strong", { class: "figures" }, megabytes(mb * MB)));
  return h(
    "section",
    { class: "card stack memory", "aria-labelledby": "memory-title" },
    h(
      "div",
      { class: "row between" },
      h("h2", { id: "memory-title" }, t("system.memory")),
      now.state && h("span", { class: `state ${now.state}` }, t(`system.state.${now.state}`)),
    ),
    h(
      "p",
      { class: "figures big" },
      t("system.of", values),
      h("span", { class: "muted small" }, ` ${t(`system.source.${now.limit_source}`)}`),
    ),
    h(
      "div",
      { class: "plot" },
      h(
        "span",
        { class: "edge figures" },
        top === limit ? `${t("system.limit")} ${megabytes(top)}` : megabytes(top),
      ),
      chart,
      h(
        "span",
        { class: "axis" },
        h("span", {}, t("system.chartAge")),
        h("span", {}, t("system.now")),
      ),
    ),
    h(
      "ul",
      { class: "keys small" },
      entry("series-1", t("system.anon"), memory.anon_mb ?? 0),
      entry("series-2", t("system.file"), memory.file_mb ?? 0),
      entry("peak", t("system.peak"), memory.peak_rss_mb ?? 0),
    ),
  );
}

function tiles(now) {
  const tile = (name, value, note, more) =>
    h(
      "div",
      { class: "card tile" },
      h("dt", { class: "label" }, name),
      h("dd", { class: "figures big" }, value),
      note && h("dd", { class: "small muted" }, note),
      more && h("dd", { class: "small muted" }, more),
    );
  const { sessions = {}, queue = {}, weights = {} } = now;
  return h(
    "dl",
    { class: "tiles" },
    tile(t("system.sessions"), `${sessions.busy ?? 0} / ${sessions.total ?? 0}`),
    tile(t("system.queue"), `${queue.depth ?? 0} / ${queue.limit ?? 0}`),
    tile(
      t("system.rate"),
      typeof now.requests_per_second === "number" ? oneDecimal(now.requests_per_second) : "–",
    ),
    tile(
      t("system.model"),
      t(now.model_loaded ? "system.loaded" : "system.notLoaded"),
      limits.modelName,
    ),
    tile(
      t("system.weights"),
      megabytes(weights.bytes ?? 0),
      weights.placement && t(`system.placement.${weights.placement}`),
      weights.fell_from && t("system.fell"),
    ),
    tile(t("system.uptime"), duration(now.uptime_s ?? 0), now.version),
  );
}

function categories(now) {
  const ledger = now.ledger ?? {};
  const parts = CATEGORIES.map((key) => ({ key, bytes: Number(ledger[key] ?? 0) }));
  const sum = parts.reduce((total, { bytes }) => total + bytes, 0);
  const limit = Math.max(sum, (now.limit_mb ?? 0) * MB);
  // Against a limit that is many times what is used, the bar would be empty: then it shows shares.
  const against = limit > sum * 6 ? sum : limit;
  const rows = parts.map(({ key, bytes }) =>
    h(
      "li",
      { class: bytes ? "" : "none" },
      swatch(`category-${key}`),
      h("span", {}, t(`system.category.${key}`)),
      h("span", { class: "figures" }, megabytes(bytes)),
    ),
  );
  return h(
    "section",
    { class: "card stack", "aria-labelledby": "ledger-title" },
    h(
      "div",
      { class: "row between" },
      h("h2", { id: "ledger-title" }, t("system.categories")),
      h(
        "span",
        { class: "figures muted small" },
        `${megabytes(sum)} · ${t("system.free")} ${megabytes(limit - sum)}`,
      ),
    ),
    stackedBar(parts, against),
    h("ul", { class: "ledger small" }, rows),
  );
}

function planCard() {
  return h(
    "section",
    { class: "card stack", "aria-labelledby": "plan-title" },
    h("h2", { id: "plan-title" }, t("system.plan")),
    planTable(state.plan) ?? h("p", { class: "muted" }, t("system.planEmpty")),
  );
}
