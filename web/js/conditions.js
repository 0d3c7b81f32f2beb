// The model's classes by the names people know, and what must be said about what it cannot know.
import { h, note } from "./dom.js";
import { language, t } from "./language.js";
import { limits } from "./limits.js";

const WORDS = {
  en: ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"],
  vi: ["không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười"],
};
const SHIPPED = { name: "skin7-b0", classes: 7 };

const spelled = (count) => WORDS[language()][count] ?? String(count);

export const classesOf = (model) => model?.classes ?? [];

// Whether it is the model that comes with dermlens, of which more is known than its card says. Of any
// other nothing is claimed that its card does not state.
const isShipped = (model) => (model?.name ?? limits.modelName) === SHIPPED.name;

// 0 until the model has been loaded and says it, unless it is the shipped one.
const countOf = (model) =>
  classesOf(model).length || (isShipped(model) ? SHIPPED.classes : 0);

// The text of `key` with the number of classes, or that of `uncounted` where it is not known.
export function counted(key, uncounted, model) {
  const count = countOf(model);
  return count ? t(key, { n: spelled(count) }) : t(uncounted);
}

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
  return note(
    "careful",
    "careful",
    counted("limits.title", "limits.titleAny", model),
    h(
      "p",
      {},
      isShipped(model)
        ? counted("limits.text", "limits.textOtherAny", model)
        : counted("limits.textOther", "limits.textOtherAny", model),
    ),
  );
}

const OWN = ["use", "accuracy", "phone", "classes", "skin", "gate"];

// The limits the model's own card states; until the shipped model has been loaded, ours.
export function limitSentences(model) {
  const stated = model?.limits ?? [];
  if (!isShipped(model) && stated.length === 0) return [t("limits.useAny")];
  if (stated.length === 0) return OWN.map((key) => t(`limits.${key}`));
  const said = stated.map((entry) =>
    typeof entry === "string" ? entry : (entry[language()] ?? Object.values(entry)[0]),
  );
  return [t(isShipped(model) ? "limits.use" : "limits.useAny"), ...said];
}
