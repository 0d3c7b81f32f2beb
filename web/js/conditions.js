// The model's classes by the names people know, and what must be said about what it cannot know.
import { h, note } from "./dom.js";
import { language, t } from "./language.js";

const WORDS = {
  en: ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
  vi: ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười"],
};
const CANCER = /melanom|carcinom|cancer|malignan|keratoses? actinic|ung thư/i;

export const spelled = (count) => WORDS[language()][count] ?? String(count);

export const classesOf = (model) => model?.classes ?? model?.labels ?? model?.card?.labels ?? [];

// The seed's seven, until the model has been loaded and says otherwise.
export const countOf = (model) => classesOf(model).length || 7;

const keyOf = (entry) => (typeof entry === "string" ? entry : (entry?.key ?? entry?.class ?? entry?.name));

// "Eczema" for {class: "Eczema Photos"}: the display name where the card has one.
export function nameOf(model, prediction) {
  const entry = classesOf(model)[prediction.class_id];
  const names = entry?.names ?? entry ?? {};
  return names[language()] ?? prediction[`name_${language()}`] ?? keyOf(entry) ?? prediction.class ??
    `#${prediction.class_id}`;
}

export function limitsNote(model) {
  const n = spelled(countOf(model));
  const knowsCancer = classesOf(model).some((entry) => CANCER.test(keyOf(entry)));
  return note("careful", "careful", t("limits.title", { n }),
    h("p", {}, t(knowsCancer ? "limits.textOther" : "limits.text", { n })));
}

const OWN = ["use", "accuracy", "phone", "classes", "skin", "gate"];

// The limits the model's own card states; for the shipped model, ours say the same in two languages.
export function limitSentences(model, name) {
  if (name === "skin7-b0") return OWN.map((key) => t(`limits.${key}`));
  const stated = model?.limits ?? model?.card?.limits ?? [];
  const sentences = stated.map((entry) => (typeof entry === "string" ? entry : (entry[language()] ?? entry.en)));
  return [t("limits.use"), ...sentences.filter(Boolean)];
}
