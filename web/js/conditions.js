// The model's classes by the names people know, and what must be said about what it cannot know.
import { h, note } from "./dom.js";
import { language, t } from "./language.js";

const WORDS = {
  en: ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
  vi: ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười"],
};
const CANCER = /melanom|carcinom|cancer|malignan/i;

export const spelled = (count) => WORDS[language()][count] ?? String(count);

export const classesOf = (model) => model?.classes ?? [];

// The seed's seven, until the model has been loaded and says otherwise.
export const countOf = (model) => classesOf(model).length || 7;

// "Eczema" for {class: "Eczema Photos"}: the display name where the card has one.
export function nameOf(model, prediction) {
  const entry = classesOf(model)[prediction.class_id];
  return (
    prediction.names?.[language()] ??
    entry?.names?.[language()] ??
    entry?.class ??
    prediction.class ??
    `#${prediction.class_id}`
  );
}

export function limitsNote(model) {
  const n = spelled(countOf(model));
  const knowsCancer = classesOf(model).some((entry) => CANCER.test(entry.class));
  return note(
    "careful",
    "careful",
    t("limits.title", { n }),
    h("p", {}, t(knowsCancer ? "limits.textOther" : "limits.text", { n })),
  );
}

const OWN = ["use", "accuracy", "phone", "classes", "skin", "gate"];

// The limits the model's own card states; until the shipped model has been loaded, ours.
export function limitSentences(model, name) {
  const stated = model?.limits ?? [];
  if (stated.length === 0)
    return (name === "skin7-b0" ? OWN : ["use"]).map((key) => t(`limits.${key}`));
  const said = stated.map((entry) =>
    typeof entry === "string" ? entry : (entry[language()] ?? Object.values(entry)[0]),
  );
  return [t("limits.use"), ...said];
}
