// The plan as tables: whatever /api/v1/models/{m}/plan carries, its single values as facts and its
// lists as tables, bytes as MB. A name without a text of ours stays the API's own.
import { h } from "./dom.js";
import { megabytes, oneDecimal, t, whole } from "./language.js";

const isBytes = (key) => /(^|_)bytes$/.test(key);
const isPlain = (value) => value === null || typeof value !== "object";

function title(key) {
  const name = key.replace(/_(bytes|mb)$/, "");
  const text = t(`plan.${name}`);
  return text.startsWith("plan.") ? name.replaceAll("_", " ") : text;
}

function written(key, value) {
  if (value === null || value === undefined) return "–";
  if (typeof value === "boolean") return value ? "✓" : "–";
  if (key === "placement") return t(`system.placement.${value}`);
  if (typeof value !== "number") return String(value);
  if (isBytes(key)) return megabytes(value);
  if (key.endsWith("_mb")) return `${oneDecimal(value)} MB`;
  return Number.isInteger(value) ? whole(value) : oneDecimal(value);
}

function listTable(name, list) {
  const columns = [
    ...new Set(list.flatMap((entry) => Object.keys(entry).filter((key) => isPlain(entry[key])))),
  ];
  const numeric = (key) => list.some((entry) => typeof entry[key] === "number");
  const cell = (tag, key, text) =>
    h(tag, { class: numeric(key) ? "number" : "", scope: tag === "th" && "col" }, text);
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": title(name) },
    h(
      "table",
      { class: "small" },
      h("caption", { class: "label" }, title(name)),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          columns.map((key) => cell("th", key, title(key))),
        ),
      ),
      h(
        "tbody",
        {},
        list.map((entry) =>
          h(
            "tr",
            {},
            columns.map((key) => cell("td", key, written(key, entry[key]))),
          ),
        ),
      ),
    ),
  );
}

// Null where there is nothing to show.
export function planTable(plan) {
  if (!plan || isPlain(plan)) return null;
  const entries = Object.entries(plan);
  const facts = entries.filter(([, value]) => isPlain(value));
  const lists = entries.filter(
    ([, value]) => Array.isArray(value) && value.length && value.every((entry) => !isPlain(entry)),
  );
  const nested = entries.filter(([, value]) => !isPlain(value) && !Array.isArray(value));
  const parts = [
    facts.length > 0 &&
      h(
        "dl",
        { class: "facts columns" },
        facts.map(([key, value]) =>
          h("div", {}, h("dt", {}, title(key)), h("dd", {}, written(key, value))),
        ),
      ),
    ...lists.map(([name, list]) => listTable(name, list)),
    ...nested.map(([name, value]) => {
      const inner = planTable(value);
      return inner && h("div", {}, h("p", { class: "label" }, title(name)), inner);
    }),
  ].filter(Boolean);
  return parts.length ? h("div", { class: "stack" }, parts) : null;
}
