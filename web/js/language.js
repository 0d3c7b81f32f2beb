// Which language the page speaks, its texts, and numbers written its way. The server chose the first
// one (?lang=, the cookie, the browser's wish) and wrote it on <html>.
import { english } from "./texts-en.js";
import { vietnamese } from "./texts-vi.js";

const texts = { en: english, vi: vietnamese };
const listeners = new Set();

export const language = () => (document.documentElement.lang === "vi" ? "vi" : "en");

// The text of `key` with {name} replaced by values.name. A missing key shows itself.
export function t(key, values = {}) {
  const text = texts[language()][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export function setLanguage(tag) {
  document.documentElement.lang = tag;
  document.cookie = `lang=${tag}; path=/; max-age=31536000; SameSite=Lax`;
  for (const listener of listeners) listener();
}

export function onLanguage(listener) {
  listeners.add(listener);
}

const written = (options) => (value) => new Intl.NumberFormat(language(), options).format(value);

// 0.8123 -> "81.23%" or "81,23%"
export const percent = written({
  style: "percent",
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
});
export const wholePercent = written({ style: "percent", maximumFractionDigits: 0 });
export const whole = written({ maximumFractionDigits: 0 });
export const oneDecimal = written({ minimumFractionDigits: 1, maximumFractionDigits: 1 });

// MB are 2^20 bytes here, as everywhere in dermlens; GB, for limits of whole machines, 2^30.
export const megabytes = (bytes) =>
  bytes < 10 * 2 ** 30 ? `${oneDecimal(bytes / 2 ** 20)} MB` : `${oneDecimal(bytes / 2 ** 30)} GB`;
export const fileSize = (bytes) =>
  bytes < 1048576 ? `${whole(bytes / 1024)} KB` : megabytes(bytes);
export const milliseconds = (value) =>
  value >= 1000
    ? `${oneDecimal(value / 1000)} s`
    : `${value < 10 ? oneDecimal(value) : whole(value)} ms`;
export const moment = (date) =>
  new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeStyle: "short" }).format(date);
